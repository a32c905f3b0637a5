// cli/prune_flags.h — what the prune verbs and `plan` can be told.

#ifndef RECLAIM_CLI_PRUNE_FLAGS_H_
#define RECLAIM_CLI_PRUNE_FLAGS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "cli/parser.h"
#include "cli/session.h"
#include "reclaim/v1/collection.pb.h"

namespace reclaim::cli {

// Whether applying it does anything.
inline bool HasWork(const v1::Plan& plan) {
  return plan.item_count() > 0 || plan.target_outcome().purge_bytes() > 0;
}

struct PruneFlags {
  v1::PruneVerb verb = v1::PRUNE_VERB_SYSTEM;
  bool all = false;
  bool volumes = false;
  std::vector<std::string> filters;
  std::string grace;
  std::string quarantine;
  uint64_t pace = 0;
  bool containers_are_complete = false;
  bool force = false;         // do not ask
  bool names_images = false;  // of `image rm`
  bool force_use = false;     // its --force: do not ask, and more
  bool dry_run = false;
  bool all_items = false;
  bool purge = false;
  bool allow_large = false;
  bool fail_if_empty = false;
  bool allow_partial = false;
  std::string format;  // of the items of a plan
  std::string out;     // file for the plan of a dry run
  std::string plan;    // file of a plan to apply
  std::vector<std::string> references;
  // How far it goes.
  uint32_t high = 0;
  uint32_t low = 0;
  std::string free;
  std::string keep_under;
  bool quotas = false;
  std::string reserved;

  // RETENTION is a system prune as well.
  bool is_system() const {
    return verb == v1::PRUNE_VERB_SYSTEM || verb == v1::PRUNE_VERB_RETENTION;
  }
  // The flags that fit `verb`.
  void Declare(Parser* command, Session* session);
  // --out and --plan, of verbs that may be approved first.
  void DeclareFiles(Parser* command);
  // How far it goes; of verbs about images.
  void DeclareTarget(Parser* command);
  // How much of the build cache stays.
  void DeclareCacheLimits(Parser* command);
  // Those that say what to look at.
  void DeclareScope(Parser* command, Session* session);
  // Whether damage keeps a part of what the plan is about, which is content,
  // from being judged, and nobody said that it may.
  bool IsPartial(const v1::Plan& made) const {
    const bool takes_content = is_system() || verb == v1::PRUNE_VERB_IMAGES;
    return !allow_partial && takes_content && !made.kept_scopes().empty();
  }
  // The same for a plan as for the prune that carries it out.  kPartial if a
  // part could not be judged, kShort if the plan's target is not reached,
  // kNothing if there was nothing to do and that is to be told; else kDone.
  int CodeOf(const v1::Plan& made) const {
    if (IsPartial(made)) return kPartial;
    if (made.target_outcome().short_by_bytes() > 0) return kShort;
    return fail_if_empty && !HasWork(made) ? kNothing : kDone;
  }
  // INVALID_ARGUMENT: a duration or a size.
  absl::Status Fill(const Session& session,
                    v1::CreatePlanRequest* request) const;

 private:
  absl::Status FillTarget(v1::CreatePlanRequest* request) const;
};

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_PRUNE_FLAGS_H_
