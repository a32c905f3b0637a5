// Tenants and quotas of the book.

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/status_macros.h"
#include "gc/policy_book.h"
#include "gc/policy_book_entries.h"
#include "gc/policy_codec.h"

namespace reclaim::gc {
namespace {

// What is different between the two.
template <typename Value>
struct Kind;
template <>
struct Kind<Tenant> {
  static constexpr char kWord[] = "tenant";
  static constexpr auto* kEncode = EncodeTenant;
  static constexpr auto* kDecode = DecodeTenant;
};
template <>
struct Kind<RepositoryQuota> {
  static constexpr char kWord[] = "quota";
  static constexpr auto* kEncode = EncodeQuota;
  static constexpr auto* kDecode = DecodeQuota;
};

template <typename Value>
std::string KeyOf(absl::string_view name) {
  return absl::StrCat(Kind<Value>::kWord, "/", name);
}

template <typename Value>
absl::Status LoadMap(const index::Engine& engine, EntryMap<Value>* map) {
  return LoadAll<Value>(
      engine, KeyOf<Value>("").c_str(), Kind<Value>::kDecode,
      [map](Value value) { (*map)[value.name] = std::move(value); });
}

// Those of the file in its order, for of several quotas the first decides; then
// the others by name.
template <typename Value>
std::vector<Value> InOrder(const EntryMap<Value>& map,
                           const std::vector<std::string>& of_file) {
  std::vector<Value> values;
  for (const std::string& name : of_file) values.push_back(map.at(name));
  for (const auto& [name, value] : map) {
    if (!value.is_from_file) values.push_back(value);
  }
  return values;
}

// Lays the file's over those of the engine; gives their names.
template <typename Value>
std::vector<std::string> Overlay(const std::vector<Value>& of_file,
                                 EntryMap<Value>* map) {
  std::vector<std::string> names;
  for (Value value : of_file) {
    value.is_from_file = true;
    names.push_back(value.name);
    map->insert_or_assign(names.back(), std::move(value));
  }
  return names;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TenantBook>> PolicyBook::Compile(
    const Tenancy& tenancy) const {
  RECLAIM_ASSIGN_OR_RETURN(
      TenantBook book,
      TenantBook::Create({InOrder(tenancy.tenants, file_tenants_),
                          InOrder(tenancy.quotas, file_quotas_)}));
  return std::make_shared<const TenantBook>(std::move(book));
}

absl::Status PolicyBook::OpenTenants(const TenantSettings& file) {
  // The file alone first: a name that it gives twice is its error.
  RECLAIM_RETURN_IF_ERROR(TenantBook::Create(file).status());
  Tenancy tenancy;
  RECLAIM_RETURN_IF_ERROR(LoadMap(*engine_, &tenancy.tenants));
  RECLAIM_RETURN_IF_ERROR(LoadMap(*engine_, &tenancy.quotas));
  file_tenants_ = Overlay(file.tenants, &tenancy.tenants);
  file_quotas_ = Overlay(file.quotas, &tenancy.quotas);
  RECLAIM_ASSIGN_OR_RETURN(book_, Compile(tenancy));
  tenancy_ = std::move(tenancy);
  return absl::OkStatus();
}

// What does not compile is not written, and what is not written is not held.
absl::Status PolicyBook::Change(Tenancy tenancy, const std::string& key,
                                std::optional<std::string> bytes) {
  RECLAIM_ASSIGN_OR_RETURN(auto book, Compile(tenancy));
  RECLAIM_RETURN_IF_ERROR(Write(key, std::move(bytes)));
  tenancy_ = std::move(tenancy);
  book_ = std::move(book);
  return absl::OkStatus();
}

template <typename Value>
std::vector<Value> PolicyBook::List(EntryMap<Value> Tenancy::*map) const {
  base::MutexLock lock(&mutex_);
  std::vector<Value> values;
  for (const auto& [name, value] : tenancy_.*map) values.push_back(value);
  return values;
}

template <typename Value>
absl::StatusOr<Value> PolicyBook::Get(EntryMap<Value> Tenancy::*map,
                                      absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  return FindEntry(tenancy_.*map, Kind<Value>::kWord, name);
}

template <typename Value>
absl::StatusOr<Value> PolicyBook::Put(EntryMap<Value> Tenancy::*map,
                                      Value value, absl::string_view etag) {
  base::MutexLock lock(&mutex_);
  RECLAIM_RETURN_IF_ERROR(
      CheckChange(tenancy_.*map, Kind<Value>::kWord, value.name, etag));
  value.changed = clock_->Now();
  RECLAIM_ASSIGN_OR_RETURN(const std::string bytes,
                           Kind<Value>::kEncode(value));
  RECLAIM_ASSIGN_OR_RETURN(const Value stored, Kind<Value>::kDecode(bytes));
  Tenancy changed = tenancy_;
  (changed.*map)[stored.name] = stored;
  RECLAIM_RETURN_IF_ERROR(
      Change(std::move(changed), KeyOf<Value>(stored.name), bytes));
  return stored;
}

template <typename Value>
absl::Status PolicyBook::Delete(EntryMap<Value> Tenancy::*map,
                                absl::string_view name,
                                absl::string_view etag) {
  base::MutexLock lock(&mutex_);
  Tenancy changed = tenancy_;
  const auto it = (changed.*map).find(name);
  if (it == (changed.*map).end()) return NoSuch(Kind<Value>::kWord, name);
  RECLAIM_RETURN_IF_ERROR(
      CheckChange(changed.*map, Kind<Value>::kWord, name, etag));
  (changed.*map).erase(it);
  return Change(std::move(changed), KeyOf<Value>(name), std::nullopt);
}

std::shared_ptr<const TenantBook> PolicyBook::Tenants() const {
  base::MutexLock lock(&mutex_);
  return book_;
}

std::vector<Tenant> PolicyBook::ListTenants() const {
  return List(&Tenancy::tenants);
}
absl::StatusOr<Tenant> PolicyBook::GetTenant(absl::string_view name) const {
  return Get(&Tenancy::tenants, name);
}
absl::StatusOr<Tenant> PolicyBook::PutTenant(Tenant tenant,
                                             absl::string_view etag) {
  return Put(&Tenancy::tenants, std::move(tenant), etag);
}
absl::Status PolicyBook::DeleteTenant(absl::string_view name,
                                      absl::string_view etag) {
  return Delete(&Tenancy::tenants, name, etag);
}

std::vector<RepositoryQuota> PolicyBook::ListQuotas() const {
  return List(&Tenancy::quotas);
}
absl::StatusOr<RepositoryQuota> PolicyBook::GetQuota(
    absl::string_view name) const {
  return Get(&Tenancy::quotas, name);
}
absl::StatusOr<RepositoryQuota> PolicyBook::PutQuota(RepositoryQuota quota,
                                                     absl::string_view etag) {
  return Put(&Tenancy::quotas, std::move(quota), etag);
}
absl::Status PolicyBook::DeleteQuota(absl::string_view name,
                                     absl::string_view etag) {
  return Delete(&Tenancy::quotas, name, etag);
}

}  // namespace reclaim::gc
