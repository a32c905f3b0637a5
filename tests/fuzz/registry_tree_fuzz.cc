// store/registry_store.h: what lies in a registry's tree, where the registry
// and whoever has its disk may write anything.  The first digit chooses:
//
//   0  the bytes of a tag's link      2  of the link of a layer
//   1  of the link of a manifest      3  the name of a tag's folder
//   4  bytes of the memo of an earlier scan (store/scan_memo.h)
//
// A scan and the look at the one name agree, and what can't be read is told,
// never taken for gone.

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/check.h"
#include "oci/digest.h"
#include "oci/name.h"
#include "store/content_store.h"
#include "store/open_store.h"
#include "store/scan.h"
#include "store/testing/store_tree.h"
#include "store/types.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim::store {
namespace {

constexpr char kRepository[] = "app";
constexpr char kTag[] = "v1";
// Of a link; a longer file is none.
constexpr size_t kLinkBytesMax = 1024;
// Of a file system.
constexpr size_t kNameBytesMax = 255;
// Of a memo: layout, version and root.
constexpr size_t kMemoHeadBytes = 38;

class Seen final : public ScanSink {
 public:
  absl::Status Accept(ScanBatch batch) override {
    for (const TagFact& fact : batch.tags) tags[fact.tag] = fact.digest;
    for (const MembershipFact& fact : batch.memberships) {
      links.insert({fact.kind, fact.digest});
    }
    problem_count += batch.problems.size();
    for (const SectionReport& section : batch.sections) {
      states[section.key()] = section.state;
      if (section.state == SectionState::kUnreadable) {
        unreadable.insert(section.kind);
      }
    }
    return absl::OkStatus();
  }
  bool IsCancelled() const override { return false; }

  std::map<std::string, oci::Digest> tags;
  std::set<std::pair<MembershipKind, oci::Digest>> links;
  std::map<uint64_t, SectionState> states;
  std::set<SectionKind> unreadable;
  size_t problem_count = 0;
};

// One image, and the tree as it is when nobody has spoiled it.
class World {
 public:
  World() : tree_(&folder_) {
    image_ = tree_.Image(kRepository, kTag, {"layer"});
    const auto uri = ParseStoreUri(absl::StrCat("registry:", folder_.path()));
    RECLAIM_CHECK(uri.ok(), "a path is a store");
    auto store = OpenStore(*uri, /*is_read_only=*/true);
    RECLAIM_CHECK(store.ok(), "which opens");
    store_ = *std::move(store);
    Seen all;
    memo_ = Scan("", &all);
    section_count_ = all.states.size();
  }

  // The memo of the scan.
  std::string Scan(const std::string& memo, Seen* seen) const {
    ScanRequest request;
    request.thread_count = 1;
    request.memo = memo;
    // Later than all that was written: 2100-01-01.
    request.now = absl::FromUnixSeconds(4102444800);
    const auto result = store_->Scan(request, seen);
    RECLAIM_CHECK(result.ok(), "a fault is one of a section");
    return result->memo;
  }

  void CheckTagLink(absl::string_view bytes) const;
  void CheckLink(MembershipKind kind, absl::string_view bytes) const;
  void CheckTagName(absl::string_view name) const;
  void CheckMemo(absl::string_view bytes) const;

 private:
  static std::string Path(absl::string_view below) {
    return absl::StrCat("docker/registry/v2/repositories/", kRepository, "/",
                        below);
  }
  // What is read of the link: as the registry reads it.
  static absl::StatusOr<oci::Digest> Read(absl::string_view bytes) {
    if (bytes.size() > kLinkBytesMax) return absl::OutOfRangeError("too long");
    return oci::Digest::Parse(absl::StripAsciiWhitespace(bytes));
  }

  TempFolder folder_;
  RegistryTree tree_;
  oci::Digest image_;
  std::unique_ptr<ContentStore> store_;
  std::string memo_;
  size_t section_count_ = 0;
};

void World::CheckTagLink(absl::string_view bytes) const {
  const std::string path =
      Path(absl::StrCat("_manifests/tags/", kTag, "/current/link"));
  folder_.Write(path, std::string(bytes));
  const auto digest = Read(bytes);
  const auto found = store_->names()->FindTag(kRepository, kTag);
  Seen seen;
  Scan("", &seen);
  folder_.Write(path, image_.ToString());
  RECLAIM_CHECK(found.ok() == digest.ok(), "a link says a digest or is torn");
  const auto tag = seen.tags.find(kTag);
  if (digest.ok()) {
    RECLAIM_CHECK(found->has_value() && (*found)->digest == *digest,
                  "a tag names what its link says");
    RECLAIM_CHECK(tag != seen.tags.end() && tag->second == *digest,
                  "to a scan as well");
    return;
  }
  RECLAIM_CHECK(!absl::IsNotFound(found.status()), "a torn tag is there");
  RECLAIM_CHECK(tag == seen.tags.end() && seen.problem_count == 1 &&
                    seen.unreadable.count(SectionKind::kTags) == 1,
                "a scan tells of it");
}

void World::CheckLink(MembershipKind kind, absl::string_view bytes) const {
  const bool is_layer = kind == MembershipKind::kLayer;
  const oci::Digest digest = is_layer ? oci::Digest::Sha256Of("layer") : image_;
  const std::string path =
      Path(absl::StrCat(is_layer ? "_layers" : "_manifests/revisions",
                        "/sha256/", digest.hex(), "/link"));
  folder_.Write(path, std::string(bytes));
  const auto read = Read(bytes);
  const auto found = store_->names()->FindLink(kRepository, digest, kind);
  const auto holds = store_->names()->HoldsLink(kRepository, digest, kind);
  Seen seen;
  Scan("", &seen);
  folder_.Write(path, digest.ToString());
  RECLAIM_CHECK(found.ok() && found->has_value(), "a link is its file");
  RECLAIM_CHECK(holds.value_or(false) == (read.ok() && *read == digest),
                "one that says something else, or nothing, leads nowhere");
  const bool is_there = seen.links.count({kind, digest}) == 1;
  const bool is_told =
      seen.unreadable.count(is_layer ? SectionKind::kLayerLinks
                                     : SectionKind::kRevisions) == 1;
  RECLAIM_CHECK(is_there != is_told, "it is there, or a scan tells of it");
  RECLAIM_CHECK(is_there || !holds.value_or(false), "a good one is there");
  RECLAIM_CHECK(is_there || !bytes.empty(),
                "an empty one is of what its path names");
}

void World::CheckTagName(absl::string_view name) const {
  const bool is_file_name = !name.empty() && name.size() <= kNameBytesMax &&
                            name != "." && name != ".." &&
                            name.find_first_of(absl::string_view("/\0", 2)) ==
                                absl::string_view::npos;
  if (!is_file_name || name == kTag) return;
  const std::string folder = Path(absl::StrCat("_manifests/tags/", name));
  folder_.Write(folder + "/current/link", image_.ToString());
  const auto found = store_->names()->FindTag(kRepository, std::string(name));
  Seen seen;
  Scan("", &seen);
  folder_.Remove(folder);
  const bool is_tag = oci::IsTagName(name);
  RECLAIM_CHECK(found.ok() == is_tag, "what is no tag is not looked for");
  RECLAIM_CHECK((seen.tags.count(std::string(name)) == 1) == is_tag &&
                    (seen.unreadable.count(SectionKind::kTags) == 1) == !is_tag,
                "a registry may serve it by any name, so a scan tells of it");
  RECLAIM_CHECK(seen.tags.count(kTag) == 1, "the one beside it is there");
}

// It may make sections look unchanged, and nothing else.
void World::CheckMemo(absl::string_view bytes) const {
  std::string memo = memo_;
  RECLAIM_CHECK(memo.size() >= kMemoHeadBytes, "a memo has a head");
  memo.replace(kMemoHeadBytes, bytes.size(), bytes.data(), bytes.size());
  Seen seen;
  Scan(memo, &seen);
  RECLAIM_CHECK(seen.states.size() == section_count_ &&
                    seen.unreadable.empty() && seen.problem_count == 0,
                "each section is reported");
  for (const auto& [key, state] : seen.states) {
    RECLAIM_CHECK(key != SectionKey(SectionKind::kTags, kRepository, -1) ||
                      state == SectionState::kUnchanged ||
                      seen.tags.count(kTag) == 1,
                  "what is listed is listed whole");
  }
}

RECLAIM_FUZZ_TARGET(registry_tree) {
  static const World world;
  if (input.empty()) return;
  const absl::string_view bytes = input.substr(1);
  switch (static_cast<unsigned char>(input[0]) % 8) {
    case 0:
      return world.CheckTagLink(bytes);
    case 1:
      return world.CheckLink(MembershipKind::kRevision, bytes);
    case 2:
      return world.CheckLink(MembershipKind::kLayer, bytes);
    case 3:
      return world.CheckTagName(bytes);
    case 4:
      return world.CheckMemo(bytes);
    default:
      return;
  }
}

}  // namespace
}  // namespace reclaim::store
