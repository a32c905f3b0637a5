// How stores, registries, engines' things and callers are named.  The first
// digit chooses:
//
//   0  the URI of a store                  store/open_store.h
//   1  the URL of a registry               rpc/registry_client.h
//   2  the head of a registry's answer     rpc/registry_client.h
//   3  Docker's name of an image           store/docker_images.h
//   4  containerd's, after one more byte   store/containerd_names.h
//   5  a snapshot as we name it            store/containerd_names.h
//   6  roles, and who holds them           rpc/role.h, rpc/grants.h

#include <array>
#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "base/check.h"
#include "gc/policy_name.h"
#include "rpc/grants.h"
#include "rpc/registry_client.h"
#include "rpc/role.h"
#include "store/containerd_names.h"
#include "store/docker_images.h"
#include "store/open_store.h"
#include "tests/fuzz/fuzz_target.h"

namespace reclaim {
namespace {

constexpr size_t kGrantCountMax = 64;
constexpr std::array<const char*, 3> kSpaces = {"default", "k8s.io", "moby"};

void CheckStoreUri(absl::string_view text) {
  const auto uri = store::ParseStoreUri(text);
  if (!uri.ok()) {
    RECLAIM_CHECK(!uri.status().message().empty(), "a refusal says why");
    return;
  }
  const auto again = store::ParseStoreUri(store::ToString(*uri));
  RECLAIM_CHECK(again.ok(), "a store has a URI");
  RECLAIM_CHECK(again->kind == uri->kind && again->path == uri->path &&
                    again->options == uri->options,
                "which is that of the same store");
  // The grammar of both is the same (index/reference_graph.h).
  RECLAIM_CHECK(
      gc::CheckPolicyName("store", store::DefaultStoreName(*uri)).ok(),
      "and a name");
}

// Nothing that a request or the resolver could take for something else.
void CheckRegistryUrl(absl::string_view text) {
  if (!rpc::CheckRegistryUrl(std::string(text)).ok()) return;
  absl::string_view rest = text;
  RECLAIM_CHECK(absl::ConsumePrefix(&rest, "http://"), "it is plain HTTP");
  absl::ConsumeSuffix(&rest, "/");
  RECLAIM_CHECK(!rest.empty(), "of a host");
  for (const char c : rest) {
    RECLAIM_CHECK(absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
                      absl::StrContains(".-:[]", absl::string_view(&c, 1)),
                  "a host and a port are plain");
  }
}

void CheckAnswerHead(absl::string_view text) {
  const auto head = rpc::ReadAnswerHead(text);
  if (!head.ok()) return;
  RECLAIM_CHECK(head->code >= 100 && head->code <= 999,
                "a code has three digits");
  RECLAIM_CHECK(absl::StartsWith(text, absl::StrCat("HTTP/1.1 ", head->code)),
                "and stands where it belongs");
}

void CheckDockerName(const std::string& name) {
  const store::DockerName parts = store::SplitDockerName(name);
  const std::string joined = store::JoinDockerName(parts.repository, parts.tag);
  RECLAIM_CHECK(joined == name || joined == name + ":latest",
                "a name is its parts, and without a tag the latest");
}

void CheckContainerdName(absl::string_view text) {
  if (text.empty()) return;
  const std::string space =
      kSpaces[static_cast<unsigned char>(text[0]) % kSpaces.size()];
  const absl::string_view name = text.substr(1);
  const store::RepositoryTag parts = store::SplitImageName(space, name);
  const store::NameInSpace joined =
      store::JoinImageName(parts.repository, parts.tag);
  RECLAIM_CHECK(joined.name_space == space && joined.name == name,
                "a name comes back byte for byte");
  RECLAIM_CHECK(!parts.tag.empty(), "and has something for a tag");
  const store::NameInSpace split =
      store::SplitQualifiedName(store::QualifiedName(space, name));
  RECLAIM_CHECK(split.name_space == space && split.name == name,
                "so does one of anything else");
}

void CheckSnapshot(absl::string_view text) {
  const auto name = store::SplitSnapshot(text);
  if (!name.ok()) return;
  const auto again = store::SplitSnapshot(store::QualifiedSnapshot(*name));
  RECLAIM_CHECK(again.ok() && again->name_space == name->name_space &&
                    again->snapshotter == name->snapshotter &&
                    again->key == name->key,
                "a snapshot is its parts");
}

// The first line has the roles, each other one who holds them.
void CheckGrants(absl::string_view text) {
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  const std::vector<std::string> words =
      absl::StrSplit(lines[0], ' ', absl::SkipEmpty());
  const auto roles = rpc::ParseRoles(words);
  if (!roles.ok() || lines.size() > kGrantCountMax) return;
  RECLAIM_CHECK(roles->empty() == words.empty(), "no role is made up");
  RECLAIM_CHECK(words.empty() || roles->Has(rpc::Role::kRead),
                "each includes to read");
  std::vector<rpc::Grant> grants;
  for (size_t i = 1; i < lines.size(); ++i) {
    grants.push_back({lines[i], *roles});
  }
  const auto held = rpc::Grants::Create(grants);
  if (!held.ok()) return;
  RECLAIM_CHECK(!held->Find({}).has_value(), "nobody holds nothing");
  for (const rpc::Grant& grant : grants) {
    const auto found = held->Find({grant.who});
    RECLAIM_CHECK(found.has_value() && *found == *roles,
                  "who is named holds just that");
    RECLAIM_CHECK(absl::StrContains(grant.who, ':'), "by what he is named");
  }
}

RECLAIM_FUZZ_TARGET(address) {
  if (input.empty()) return;
  const absl::string_view text = input.substr(1);
  switch (static_cast<unsigned char>(input[0]) % 8) {
    case 0:
      return CheckStoreUri(text);
    case 1:
      return CheckRegistryUrl(text);
    case 2:
      return CheckAnswerHead(text);
    case 3:
      return CheckDockerName(std::string(text));
    case 4:
      return CheckContainerdName(text);
    case 5:
      return CheckSnapshot(text);
    case 6:
      return CheckGrants(text);
    default:
      return;
  }
}

}  // namespace
}  // namespace reclaim
