// Random sequences of everything that happens to a store (pushes, untagging,
// pins, leases, time, prunes, restores, purges, restarts, a lost database)
// against a brute-force twin: after every step each piece of content is where
// the twin says, live where it says, and all sums agree to the byte.
//
// rapidcheck shrinks a failing sequence; it prints the seed and how to repeat
// it (RC_PARAMS).  The same 1,000 sequences each time, or with
// RECLAIM_SEQUENCES so many random ones (tools/soak).

#include <rapidcheck.h>
#include <rapidcheck/state.h>

#include <cstdlib>
#include <ostream>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "tests/model/machine_twin.h"
#include "tests/model/machine_world.h"

namespace reclaim::tests {
namespace {

using Command = rc::state::Command<MachineTwin, MachineWorld>;

constexpr char kDefaultParameters[] = "max_success=1000 seed=20260102";
constexpr int64_t kQuarantineHours = 24;

std::string TagName(int number) { return absl::StrCat("t", number); }
int AnyManifest() {
  const auto& manifests = MachineManifests();
  return manifests[*rc::gen::inRange<size_t>(0, manifests.size())];
}
int AnyContent() {
  return *rc::gen::inRange<int>(0,
                                static_cast<int>(AllMachineContent().size()));
}

void ExpectBytes(const MachineTwin& twin, const std::set<int>& contents,
                 const store::Bytes& bytes) {
  RC_ASSERT(bytes.logical_bytes == twin.LogicalBytes(contents));
  RC_ASSERT(bytes.allocated_bytes == twin.AllocatedBytes(contents));
}

void ExpectOk(const absl::Status& status) {
  if (!status.ok()) RC_FAIL(std::string(status.message()));
}

// The world is what the twin says.
void Compare(const MachineTwin& twin, const MachineWorld& world) {
  const std::set<int> reached = twin.Reached();
  for (int id = 0; id < static_cast<int>(AllMachineContent().size()); ++id) {
    const bool is_present = twin.present().count(id) != 0;
    const index::NodeState state = world.StateOf(id);
    RC_LOG() << "content " << id << " state " << static_cast<int>(state)
             << '\n';
    RC_ASSERT((state == index::NodeState::kPresent) == is_present);
    RC_ASSERT((state == index::NodeState::kQuarantined) ==
              twin.Quarantines(id));
    if (is_present) {
      RC_ASSERT(world.IsLive(id) == (reached.count(id) != 0));
    }
  }
  const index::StoreTotals totals = world.Totals();
  RC_ASSERT(totals == world.Recounted());
  ExpectBytes(twin, reached, totals.live.bytes);
  ExpectBytes(twin, twin.Dead(), totals.candidate.bytes);
  // A copy in each run that holds one.
  store::Bytes quarantined;
  for (const MachineTwin::Run& run : twin.runs()) {
    for (const std::set<int>* held :
         {&run.items, &run.superseded, &run.strangers}) {
      quarantined.logical_bytes += twin.LogicalBytes(*held);
      quarantined.allocated_bytes += twin.AllocatedBytes(*held);
    }
  }
  RC_ASSERT(totals.quarantined.bytes == quarantined);
}

// A step that is told to both; `Step` names itself for the message.
class Step : public Command {
 public:
  void show(std::ostream& out) const override { out << name_; }
  void run(const MachineTwin& before, MachineWorld& world) const override {
    Do(before, &world);
    MachineTwin after = before;
    apply(after);
    Compare(after, world);
  }

 protected:
  virtual void Do(const MachineTwin& before, MachineWorld* world) const = 0;
  std::string name_;
};

class Push final : public Step {
 public:
  Push() : manifest_(AnyManifest()), tag_(*rc::gen::inRange(-1, 3)) {
    name_ = absl::StrCat("push ", manifest_, " as ", tag_);
  }
  void apply(MachineTwin& twin) const override { twin.Push(manifest_, Tag()); }
  void Do(const MachineTwin&, MachineWorld* world) const override {
    ExpectOk(world->Push(manifest_, Tag()));
  }

 private:
  std::string Tag() const { return tag_ < 0 ? "" : TagName(tag_); }
  int manifest_;
  int tag_;
};

class Untag final : public Step {
 public:
  Untag() : tag_(TagName(*rc::gen::inRange(0, 3))) {
    name_ = absl::StrCat("untag ", tag_);
  }
  void checkPreconditions(const MachineTwin& twin) const override {
    RC_PRE(twin.tags().count(tag_) != 0);
  }
  void apply(MachineTwin& twin) const override { twin.Untag(tag_); }
  void Do(const MachineTwin&, MachineWorld* world) const override {
    ExpectOk(world->Untag(tag_));
  }

 private:
  std::string tag_;
};

class Pin final : public Step {
 public:
  Pin() : content_(AnyContent()) { name_ = absl::StrCat("pin ", content_); }
  void checkPreconditions(const MachineTwin& twin) const override {
    RC_PRE(twin.Holds(content_));
  }
  void apply(MachineTwin& twin) const override { twin.Pin(content_); }
  void Do(const MachineTwin&, MachineWorld* world) const override {
    ExpectOk(world->Pin(content_));
  }

 private:
  int content_;
};

class Unpin final : public Step {
 public:
  Unpin() : content_(AnyContent()) { name_ = absl::StrCat("unpin ", content_); }
  void checkPreconditions(const MachineTwin& twin) const override {
    RC_PRE(twin.pins().count(content_) != 0);
  }
  void apply(MachineTwin& twin) const override { twin.Unpin(content_); }
  void Do(const MachineTwin&, MachineWorld* world) const override {
    ExpectOk(world->Unpin(content_));
  }

 private:
  int content_;
};

class Lease final : public Step {
 public:
  Lease() : content_(AnyContent()), hours_(*rc::gen::inRange(1, 40)) {
    name_ = absl::StrCat("lease ", content_, " for ", hours_, " h");
  }
  void checkPreconditions(const MachineTwin& twin) const override {
    RC_PRE(twin.Holds(content_));
  }
  void apply(MachineTwin& twin) const override { twin.Lease(content_, hours_); }
  void Do(const MachineTwin&, MachineWorld* world) const override {
    ExpectOk(world->Lease(content_, hours_));
  }

 private:
  int content_;
  int64_t hours_;
};

class Advance final : public Step {
 public:
  Advance() : hours_(*rc::gen::inRange(1, 30)) {
    name_ = absl::StrCat("wait ", hours_, " h");
  }
  void apply(MachineTwin& twin) const override { twin.Advance(hours_); }
  void Do(const MachineTwin&, MachineWorld* world) const override {
    world->Advance(hours_);
  }

 private:
  int64_t hours_;
};

class Prune final : public Step {
 public:
  Prune() { name_ = "prune"; }
  void apply(MachineTwin& twin) const override { twin.Prune(); }
  void Do(const MachineTwin& before, MachineWorld* world) const override {
    const auto pruned = world->Prune();
    ExpectOk(pruned.status());
    ExpectBytes(before, before.Dead(), pruned->plan.totals.bytes.content);
    ExpectBytes(before, before.Dead(), pruned->run.bytes.content);
    RC_ASSERT(pruned->run.skipped_count == 0u);
  }
};

class Restore final : public Step {
 public:
  Restore() : number_(*rc::gen::inRange<size_t>(0, 8)) {
    name_ = absl::StrCat("restore prune ", number_);
  }
  void checkPreconditions(const MachineTwin& twin) const override {
    RC_PRE(twin.CanRestore(number_));
  }
  void apply(MachineTwin& twin) const override { twin.Restore(number_); }
  void Do(const MachineTwin&, MachineWorld* world) const override {
    ExpectOk(world->Restore(number_).status());
  }

 private:
  size_t number_;
};

class Purge final : public Step {
 public:
  Purge() : is_now_(*rc::gen::arbitrary<bool>()) {
    name_ = is_now_ ? "purge --now" : "purge";
  }
  void apply(MachineTwin& twin) const override {
    twin.Purge(is_now_ ? 0 : kQuarantineHours);
  }
  void Do(const MachineTwin&, MachineWorld* world) const override {
    ExpectOk(world->Purge(is_now_).status());
  }

 private:
  bool is_now_;
};

class Restart final : public Step {
 public:
  Restart() { name_ = "restart"; }
  void apply(MachineTwin&) const override {}
  void Do(const MachineTwin&, MachineWorld* world) const override {
    ExpectOk(world->Restart());
  }
};

class LoseDatabase final : public Step {
 public:
  LoseDatabase() { name_ = "lose the database"; }
  // With two copies of the same in quarantine nobody could say which of them
  // the next database will know by which run.
  void checkPreconditions(const MachineTwin& twin) const override {
    RC_PRE(!twin.HasCopies());
  }
  void apply(MachineTwin& twin) const override { twin.LoseDatabase(); }
  void Do(const MachineTwin&, MachineWorld* world) const override {
    ExpectOk(world->LoseDatabase());
  }
};

TEST(StateMachineTest, AgreesWithTheTwin) {
  // rapidcheck takes how much to try from the environment alone.
  const char* const asked = std::getenv("RECLAIM_SEQUENCES");
  const std::string parameters = asked == nullptr
                                     ? kDefaultParameters
                                     : absl::StrCat("max_success=", asked);
  setenv("RC_PARAMS", parameters.c_str(), /*overwrite=*/0);
  int sequence_count = 0;
  EXPECT_TRUE(rc::check("a store, and what happens to it", [&] {
    MachineWorld world;
    ++sequence_count;
    rc::state::check(
        MachineTwin(), world,
        rc::state::gen::execOneOfWithArgs<
            Push, Push, Push, Untag, Untag, Pin, Unpin, Lease, Advance, Prune,
            Prune, Restore, Purge, Restart, LoseDatabase>());
  }));
  EXPECT_GT(sequence_count, 0);
  RecordProperty("figure_api_sequences_against_a_twin", sequence_count);
}

}  // namespace
}  // namespace reclaim::tests
