#include "rpc/store_table.h"

#include <optional>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "base/mutex.h"
#include "base/status_macros.h"
#include "rpc/registry_client.h"
#include "rpc/store_path.h"
#include "store/open_store.h"
#include "store/types.h"

namespace reclaim::rpc {
namespace {

constexpr size_t kNameBytesMax = 63;
constexpr absl::Duration kTenYears = absl::Hours(24 * 3652);

bool IsStoreName(absl::string_view name) {
  if (name.empty() || name.size() > kNameBytesMax) return false;
  for (size_t i = 0; i < name.size(); ++i) {
    const bool is_word =
        absl::ascii_islower(name[i]) || absl::ascii_isdigit(name[i]);
    const bool is_mark = name[i] == '.' || name[i] == '_' || name[i] == '-';
    if (!is_word && (i == 0 || !is_mark)) return false;
  }
  return true;
}

absl::Status CheckWriters(const index::WriterTerms& terms,
                          store::StoreKind kind) {
  if (terms.write_duration_max < absl::ZeroDuration() ||
      terms.write_duration_max > kTenYears) {
    return absl::InvalidArgumentError(
        "write_duration_max: must be between 0s and 10 years");
  }
  if (!terms.registry_url.empty()) {
    RECLAIM_RETURN_IF_ERROR(CheckRegistryUrl(terms.registry_url));
  }
  const bool names_registry =
      !terms.registry_url.empty() ||
      terms.descriptor_cache != index::DescriptorCache::kUnknown;
  if (!names_registry || kind == store::StoreKind::kRegistry) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      "descriptor_cache and registry_url are for registries");
}

StoreSettings SettingsOf(const index::StoreRecord& record) {
  return {record.name, record.uri, record.is_read_only, record.knows_containers,
          record.writers};
}

index::StoreRecord RecordOf(const StoreSettings& settings,
                            store::StoreKind kind) {
  index::StoreRecord record;
  record.name = settings.name;
  record.kind = kind;
  record.uri = settings.uri;
  record.is_read_only = settings.is_read_only;
  record.knows_containers = settings.knows_containers;
  record.writers = settings.writers;
  return record;
}

}  // namespace

absl::StatusOr<index::StoreRecord> StoreTable::RememberLocked(
    index::StoreRecord record) {
  std::optional<StoreSettings> old;
  if (list_ != nullptr) {
    old = list_->Find(record.name);
    RECLAIM_RETURN_IF_ERROR(list_->Put(SettingsOf(record)));
  }
  const absl::StatusOr<index::StoreId> id = graph_->RegisterStore(record);
  if (id.ok()) {
    record.id = *id;
    return record;
  }
  if (list_ != nullptr) {
    // The caller hears of the first failure; a line too many loses nothing.
    (old ? list_->Put(*old) : list_->Remove(record.name)).IgnoreError();
  }
  return id.status();
}

absl::StatusOr<std::vector<std::string>> StoreTable::Recall() {
  std::vector<std::string> recalled;
  if (list_ == nullptr) return recalled;
  base::MutexLock lock(&mutex_);
  std::set<std::string> known;
  for (const index::StoreRecord& record : graph_->Stores()) {
    known.insert(record.name);
  }
  for (const StoreSettings& settings : list_->stores()) {
    if (known.count(settings.name) > 0) continue;
    const auto uri = store::ParseStoreUri(settings.uri);
    const absl::Status status =
        uri.ok() ? CheckPath(settings, settings.name) : uri.status();
    if (!status.ok()) {
      return absl::Status(
          status.code(),
          absl::StrCat("the list of stores ", list_->path(), " has ",
                       settings.name, ": ", status.message()));
    }
    // Whether it can be opened is another matter: its disk may be away.
    RECLAIM_RETURN_IF_ERROR(
        RememberLocked(RecordOf(settings, uri->kind)).status());
    recalled.push_back(settings.name);
  }
  return recalled;
}

absl::Status StoreTable::UpdateList() {
  if (list_ == nullptr) return absl::OkStatus();
  base::MutexLock lock(&mutex_);
  for (const index::StoreRecord& record : graph_->Stores()) {
    RECLAIM_RETURN_IF_ERROR(list_->Put(SettingsOf(record)));
  }
  return absl::OkStatus();
}

absl::Status StoreTable::CheckPath(const StoreSettings& settings,
                                   const std::string& name) const {
  const std::string folder = FolderOf(settings.uri);
  for (const index::StoreRecord& record : graph_->Stores()) {
    if (record.uri == settings.uri && record.name != name) {
      return absl::AlreadyExistsError(
          absl::StrCat(settings.uri, " is registered already as the store ",
                       record.name, "; one tree must not be collected twice"));
    }
    // Neither would honour the names, pins and leases of the other.
    if (record.name != name && AreNested(folder, FolderOf(record.uri))) {
      return absl::AlreadyExistsError(absl::StrCat(
          settings.uri, " and the store ", record.name, " (", record.uri,
          ") lie in one another; one tree must not be collected twice: "
          "register the outer or the inner one alone"));
    }
    if (record.name == name && record.uri != settings.uri) {
      const std::string why = absl::StrCat(
          "the store ", name, " is ", record.uri,
          "; choose another name, or forget that one first with `reclaim store "
          "rm ",
          name, "`");
      const auto uri = store::ParseStoreUri(settings.uri);
      if (!uri.ok() || IsThere(*uri)) return absl::AlreadyExistsError(why);
      // By a link that is away itself it may be the same one.
      return absl::NotFoundError(
          absl::StrCat(settings.uri, " leads nowhere now, and ", why));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<index::StoreRecord> StoreTable::Register(
    const StoreSettings& settings) {
  RECLAIM_ASSIGN_OR_RETURN(store::StoreUri uri,
                           store::ParseStoreUri(settings.uri));
  uri = Resolved(std::move(uri));
  if (absl::StartsWith(settings.uri, "/")) uri.kind = KindOf(uri);
  const std::string name =
      settings.name.empty() ? store::DefaultStoreName(uri) : settings.name;
  if (!IsStoreName(name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("name: \"", absl::CHexEscape(name),
                     "\" is not [a-z0-9][a-z0-9._-]{0,62}"));
  }
  RECLAIM_RETURN_IF_ERROR(CheckWriters(settings.writers, uri.kind));
  StoreSettings resolved = settings;
  resolved.name = name;
  resolved.uri = store::ToString(uri);
  base::MutexLock lock(&mutex_);
  const auto known = entries_.find(name);
  const bool is_open =
      known != entries_.end() && known->second.content != nullptr;
  const absl::Status checked = CheckPath(resolved, name);
  if (absl::IsNotFound(checked) && !is_open) {
    return RememberAwayLocked(resolved, checked);
  }
  RECLAIM_RETURN_IF_ERROR(checked);
  if (is_open &&
      known->second.content->traits().is_read_only != settings.is_read_only) {
    return absl::FailedPreconditionError(
        absl::StrCat("the store ", name, " is open ",
                     settings.is_read_only ? "for deletion" : "read-only",
                     "; forget it first to register it otherwise"));
  }
  // First: a path that is no store is an error, and is not remembered.
  if (!is_open) {
    const absl::Status opened =
        store::OpenStore(uri, settings.is_read_only).status();
    if (!opened.ok()) return RememberAwayLocked(resolved, opened);
  }
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord record,
                           RememberLocked(RecordOf(resolved, uri.kind)));
  if (!is_open) {
    RECLAIM_RETURN_IF_ERROR(AttachLocked(record));
    RECLAIM_RETURN_IF_ERROR(RecoverLocked(name));
  }
  return record;
}

absl::Status StoreTable::RememberAwayLocked(const StoreSettings& settings,
                                            const absl::Status& why) {
  for (const index::StoreRecord& known : graph_->Stores()) {
    if (known.name != settings.name) continue;
    index::StoreRecord record = RecordOf(settings, known.kind);
    if (known.uri != settings.uri) {
      record = known;
      record.is_read_only |= settings.is_read_only;
    }
    RECLAIM_RETURN_IF_ERROR(RememberLocked(record).status());
    return absl::Status(why.code(),
                        absl::StrCat(why.message(), "; the store ", known.name,
                                     " (", known.uri, ") stays registered",
                                     record.is_read_only ? ", read-only" : ""));
  }
  return why;
}

// What a bare path is can be seen only while something lies there: one that is
// known is what it was.
store::StoreKind StoreTable::KindOf(const store::StoreUri& uri) const {
  for (const index::StoreRecord& record : graph_->Stores()) {
    const auto known = store::ParseStoreUri(record.uri);
    if (known.ok() && known->path == uri.path &&
        (known->kind == store::StoreKind::kRegistry ||
         known->kind == store::StoreKind::kImageLayout)) {
      return known->kind;
    }
  }
  return uri.kind;
}

// Another database may have known what lies in its quarantine.  An engine that
// is away is a store all the same; who follows it does this when it is back.
absl::Status StoreTable::RecoverLocked(const std::string& name) {
  const absl::Status recovered = collector_->RecoverStore(name);
  TellLocked(name);
  if (recovered.ok() || absl::IsUnavailable(recovered)) return absl::OkStatus();
  // No error of the settings, with which a start ends: the store is open.
  return absl::FailedPreconditionError(
      absl::StrCat("recovery is not complete: ", recovered.message()));
}

absl::Status StoreTable::OpenLocked(const index::StoreRecord& record) {
  const auto known = entries_.find(record.name);
  if (known != entries_.end() && known->second.content != nullptr) {
    return absl::OkStatus();
  }
  RECLAIM_RETURN_IF_ERROR(AttachLocked(record));
  TellLocked(record.name);
  return absl::OkStatus();
}

void StoreTable::TellLocked(const std::string& name) {
  if (listener_) listener_(name, entries_[name].content);
}

absl::Status StoreTable::AttachLocked(const index::StoreRecord& record) {
  Entry& entry = entries_[record.name];
  if (entry.content != nullptr) return absl::OkStatus();
  const auto uri = store::ParseStoreUri(record.uri);
  entry.problem = uri.status();
  if (!uri.ok()) return entry.problem;
  auto content = store::OpenStore(*uri, record.is_read_only);
  entry.problem = content.status();
  if (!content.ok()) return entry.problem;
  entry.problem = collector_->AttachStore(record.name, content->get());
  if (!entry.problem.ok()) return entry.problem;
  entry.content = content->get();
  opened_.push_back(*std::move(content));
  return absl::OkStatus();
}

void StoreTable::SetOpenedListener(OpenedListener listener) {
  base::MutexLock lock(&mutex_);
  listener_ = std::move(listener);
  if (!listener_) return;
  for (const auto& [name, entry] : entries_) {
    if (entry.content != nullptr) listener_(name, entry.content);
  }
}

void StoreTable::OpenAll() {
  base::MutexLock lock(&mutex_);
  for (const index::StoreRecord& record : graph_->Stores()) {
    // Its entry holds the reason; nothing can be taken from one that is shut.
    OpenLocked(record).IgnoreError();
  }
}

absl::Status StoreTable::Open(absl::string_view name) {
  base::MutexLock lock(&mutex_);  // first: what Register() says holds
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord record, Find(name));
  const auto known = entries_.find(record.name);
  if (known != entries_.end() && known->second.content != nullptr) {
    return absl::OkStatus();
  }
  RECLAIM_RETURN_IF_ERROR(AttachLocked(record));
  return RecoverLocked(record.name);
}

absl::Status StoreTable::Forget(absl::string_view name) {
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord record, Find(name));
  base::MutexLock lock(&mutex_);
  Entry& entry = entries_[record.name];
  if (entry.content != nullptr) {
    RECLAIM_RETURN_IF_ERROR(collector_->DetachStore(record.name));
    entry.content = nullptr;
  }
  absl::Status forgotten =
      list_ == nullptr ? absl::OkStatus() : list_->Remove(record.name);
  if (forgotten.ok()) {
    forgotten = graph_->ForgetStore(record.name);
    if (!forgotten.ok() && list_ != nullptr) {
      // If this fails, the next start writes it (UpdateList()).
      list_->Put(SettingsOf(record)).IgnoreError();
    }
  }
  if (!forgotten.ok()) {
    // As it was: whoever asks next finds it open again.  If that fails, the
    // entry holds the reason, and a closed store only keeps more.
    OpenLocked(record).IgnoreError();
    return forgotten;
  }
  entries_.erase(record.name);
  return absl::OkStatus();
}

absl::StatusOr<index::StoreRecord> StoreTable::Find(
    absl::string_view name) const {
  const std::vector<index::StoreRecord> stores = graph_->Stores();
  if (name.empty()) {
    if (stores.size() == 1) return stores[0];
    if (stores.empty()) {
      return absl::NotFoundError(
          "no store is registered; add one with `reclaim store add URI`");
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "store: there are ", stores.size(), " stores (",
        absl::StrJoin(stores, ", ",
                      [](std::string* out, const index::StoreRecord& record) {
                        out->append(record.name);
                      }),
        "); say which"));
  }
  for (const index::StoreRecord& record : stores) {
    if (record.name == name) return record;
  }
  return absl::NotFoundError(absl::StrCat(
      "store \"", absl::CHexEscape(name),
      "\" is not registered; `reclaim store ls` lists those that are"));
}

absl::StatusOr<store::ContentStore*> StoreTable::Content(
    absl::string_view name) const {
  RECLAIM_ASSIGN_OR_RETURN(const index::StoreRecord record, Find(name));
  base::MutexLock lock(&mutex_);
  const auto it = entries_.find(record.name);
  if (it != entries_.end() && it->second.content != nullptr) {
    return it->second.content;
  }
  const absl::Status why =
      it == entries_.end() ? absl::OkStatus() : it->second.problem;
  return absl::UnavailableError(absl::StrCat(
      "the store ", record.name, " is not open: ",
      why.ok() ? "it has not been tried" : std::string(why.message()),
      "; mend that, then `reclaim scan ", record.name, "`"));
}

absl::Status StoreTable::Problem(absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  const auto it = entries_.find(std::string(name));
  return it == entries_.end() ? absl::OkStatus() : it->second.problem;
}

}  // namespace reclaim::rpc
