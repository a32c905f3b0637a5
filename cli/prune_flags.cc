#include "cli/prune_flags.h"

#include <optional>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "cli/listing.h"
#include "cli/units.h"

namespace reclaim::cli {
namespace {

absl::Status SetSpan(const std::string& text,
                     google::protobuf::Duration* duration) {
  RECLAIM_ASSIGN_OR_RETURN(const absl::Duration span, ParseSpan(text));
  *duration = ToProto(span);
  return absl::OkStatus();
}

// A size where one was given.
absl::StatusOr<std::optional<uint64_t>> ReadIfGiven(const char* flag,
                                                    const std::string& text) {
  if (text.empty()) return std::optional<uint64_t>();
  RECLAIM_ASSIGN_OR_RETURN(const uint64_t bytes, ReadSize(flag, text));
  return std::optional<uint64_t>(bytes);
}

// "" would be no target, and all that may go would go.
std::string IsSaid(const std::string& text) {
  return text.empty() ? "is empty; say how many bytes, or leave it out" : "";
}

}  // namespace

void PruneFlags::DeclareTarget(Parser* command) {
  constexpr char kGroup[] = "Target (images and other content only)";
  const auto option = [&](Parameter* one) { return one->InGroup(kGroup); };
  auto* high = option(command->AddOption(
      "--high", this->high,
      "Begin if the disk is so full, in per cent, or fuller"));
  auto* low = option(command->AddOption(
      "--low", this->low, "Then free until it is so full, in per cent"));
  high->Needs(low)->Between(1, 100);
  low->Needs(high)->Between(1, 100);
  auto* by_free = option(command->AddOption(
      "--free", free, "Take no more than it needs to free so much, e.g. 10GB"));
  auto* by_size = option(command->AddOption(
      "--keep-under", keep_under,
      "Take no more than it needs to leave so much in the store"));
  by_free->Check(IsSaid);
  by_size->Check(IsSaid);
  auto* by_quotas = option(command->AddFlag(
      "--quotas", quotas, "Bring repositories and tenants under their quotas"));
  option(command->AddOption("--reserved", reserved,
                            "Leave so much in the store in any case"))
      ->Check(IsSaid);
  by_free->Excludes(high)->Excludes(by_size)->Excludes(by_quotas);
  by_size->Excludes(high)->Excludes(by_quotas);
  by_quotas->Excludes(high);
}

void PruneFlags::DeclareCacheLimits(Parser* command) {
  command
      ->AddOption("--max-used-space", keep_under,
                  "Take no more than it needs to leave so much build cache, "
                  "e.g. 10GB")
      ->Check(IsSaid);
  command
      ->AddOption("--reserved-space,--keep-storage", reserved,
                  "Leave so much build cache in any case")
      ->Check(IsSaid);
}

void PruneFlags::DeclareScope(Parser* command, Session* session) {
  command->AddOption("--store", session->store,
                     "Store; not needed if there is only one");
  command->AddFlag("--all-items", all_items, "List every item of a plan");
  command->AddOption("--format", format,
                     std::string("Items of a plan: ") + kFormatHelp);
  command
      ->AddOption("--filter", filters,
                  "Only what matches, e.g. until=24h, label=k=v, "
                  "label!=k, reference=app*, dangling=true")
      ->OneEachTime();
  command->AddOption("--grace", grace,
                     "Keep what is younger, e.g. 24h; 0s judges references "
                     "alone");
  command->AddOption("--quarantine", quarantine,
                     "How long it can be restored, e.g. 24h");
  command->AddOption("--pace", pace,
                     "Bytes a second at most; 0: what is configured");
  if (verb == v1::PRUNE_VERB_IMAGES || verb == v1::PRUNE_VERB_VOLUMES ||
      verb == v1::PRUNE_VERB_BUILD_CACHE || is_system()) {
    command->AddFlag("-a,--all", all,
                     "All that is unused, not only what is dangling");
  }
  if (is_system()) {
    command->AddFlag("--volumes", volumes, "Anonymous volumes as well");
  }
  if (is_system() || verb == v1::PRUNE_VERB_IMAGES) {
    command->AddFlag("--containers-are-complete", containers_are_complete,
                     "The recorded containers are all that use the store");
  }
}

void PruneFlags::Declare(Parser* command, Session* session) {
  DeclareScope(command, session);
  if (names_images) {
    command->AddFlag("-y,--yes", force, "Do not ask");
    command->AddFlag("-f,--force", force_use,
                     "Do not ask, and take the last name of an image even "
                     "though a stopped container uses it");
  } else {
    command->AddFlag("-f,--force", force, "Do not ask");
  }
  command->AddFlag("--dry-run", dry_run,
                   "Show what would go, and remove nothing");
  command->AddFlag("--fail-if-empty", fail_if_empty,
                   "Exit code 14 if there is nothing to do");
  command->AddFlag("--allow-partial", allow_partial,
                   "A part that could not be judged is no exit code 3; one "
                   "that could not be removed is");
  command->AddFlag("--purge", purge, "Free the bytes at once: no undo");
  command->AddFlag("--allow-large", allow_large,
                   "Even more than the configured share of the store");
}

void PruneFlags::DeclareFiles(Parser* command) {
  command->AddOption("--out", out,
                     "File for the plan of a --dry-run, for --plan");
  command
      ->AddOption("--plan", plan,
                  "Apply the plan of this file: what it names and what is "
                  "still garbage")
      ->Excludes(command->Find("--filter"));
}

absl::Status PruneFlags::Fill(const Session& session,
                              v1::CreatePlanRequest* request) const {
  request->set_store(session.store);
  request->set_verb(
      verb == v1::PRUNE_VERB_IMAGES && all ? v1::PRUNE_VERB_ALL_IMAGES : verb);
  request->set_all_images(is_system() && all);
  request->set_with_volumes(volumes);
  request->set_all_volumes(verb == v1::PRUNE_VERB_VOLUMES && all);
  request->set_all_cache(all &&
                         (verb == v1::PRUNE_VERB_BUILD_CACHE || is_system()));
  request->set_containers_are_complete(containers_are_complete);
  request->set_pace_bytes_per_second(pace);
  for (const std::string& filter : filters) request->add_filters(filter);
  for (const std::string& text : references) request->add_references(text);
  request->set_force(force_use);
  if (!grace.empty()) {
    RECLAIM_RETURN_IF_ERROR(SetSpan(grace, request->mutable_grace_period()));
  }
  if (!quarantine.empty()) {
    RECLAIM_RETURN_IF_ERROR(
        SetSpan(quarantine, request->mutable_quarantine_period()));
  }
  return FillTarget(request);
}

absl::Status PruneFlags::FillTarget(v1::CreatePlanRequest* request) const {
  RECLAIM_ASSIGN_OR_RETURN(const auto to_free, ReadIfGiven("--free", free));
  RECLAIM_ASSIGN_OR_RETURN(const auto under,
                           ReadIfGiven("--keep-under", keep_under));
  RECLAIM_ASSIGN_OR_RETURN(const auto least,
                           ReadIfGiven("--reserved", reserved));
  if (high > 0) {
    v1::DiskMarks* marks = request->mutable_target()->mutable_marks();
    marks->set_high_percent(high);
    marks->set_low_percent(low);
  }
  if (to_free) request->mutable_target()->set_free_bytes(*to_free);
  if (under) request->mutable_target()->set_keep_under_bytes(*under);
  // Of the build cache what is reserved alone is the goal, as BuildKit has it.
  if (least && !under && verb == v1::PRUNE_VERB_BUILD_CACHE) {
    request->mutable_target()->set_keep_under_bytes(*least);
  }
  if (quotas) request->mutable_target()->set_quotas(true);
  if (least) request->mutable_target()->set_reserved_bytes(*least);
  return absl::OkStatus();
}

}  // namespace reclaim::cli
