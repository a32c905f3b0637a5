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

constexpr char kTenant[] = "tenant/";
constexpr char kQuota[] = "quota/";

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

template <typename Value>
std::vector<Value> ByName(const EntryMap<Value>& map) {
  std::vector<Value> values;
  for (const auto& [name, value] : map) values.push_back(value);
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
    const EntryMap<Tenant>& tenants,
    const EntryMap<RepositoryQuota>& quotas) const {
  RECLAIM_ASSIGN_OR_RETURN(TenantBook book,
                           TenantBook::Create({InOrder(tenants, file_tenants_),
                                               InOrder(quotas, file_quotas_)}));
  return std::make_shared<const TenantBook>(std::move(book));
}

absl::Status PolicyBook::OpenTenants(const TenantSettings& file) {
  // The file alone first: a name that it gives twice is its error.
  RECLAIM_RETURN_IF_ERROR(TenantBook::Create(file).status());
  RECLAIM_RETURN_IF_ERROR(
      LoadAll<Tenant>(*engine_, kTenant, DecodeTenant, [this](Tenant tenant) {
        mutex_.AssertHeld();
        tenants_[tenant.name] = std::move(tenant);
      }));
  RECLAIM_RETURN_IF_ERROR(LoadAll<RepositoryQuota>(
      *engine_, kQuota, DecodeQuota, [this](RepositoryQuota quota) {
        mutex_.AssertHeld();
        quotas_[quota.name] = std::move(quota);
      }));
  file_tenants_ = Overlay(file.tenants, &tenants_);
  file_quotas_ = Overlay(file.quotas, &quotas_);
  RECLAIM_ASSIGN_OR_RETURN(book_, Compile(tenants_, quotas_));
  return absl::OkStatus();
}

std::shared_ptr<const TenantBook> PolicyBook::Tenants() const {
  base::MutexLock lock(&mutex_);
  return book_;
}

std::vector<Tenant> PolicyBook::ListTenants() const {
  base::MutexLock lock(&mutex_);
  return ByName(tenants_);
}

absl::StatusOr<Tenant> PolicyBook::GetTenant(absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  return FindEntry(tenants_, "tenant", name);
}

absl::StatusOr<Tenant> PolicyBook::PutTenant(Tenant tenant,
                                             absl::string_view etag) {
  base::MutexLock lock(&mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckChange(tenants_, "tenant", tenant.name, etag));
  tenant.changed = clock_->Now();
  RECLAIM_ASSIGN_OR_RETURN(const std::string bytes, EncodeTenant(tenant));
  RECLAIM_ASSIGN_OR_RETURN(const Tenant stored, DecodeTenant(bytes));
  EntryMap<Tenant> tenants = tenants_;
  tenants[stored.name] = stored;
  RECLAIM_ASSIGN_OR_RETURN(auto book, Compile(tenants, quotas_));
  RECLAIM_RETURN_IF_ERROR(Write(kTenant + stored.name, bytes));
  tenants_ = std::move(tenants);
  book_ = std::move(book);
  return stored;
}

absl::Status PolicyBook::DeleteTenant(absl::string_view name,
                                      absl::string_view etag) {
  base::MutexLock lock(&mutex_);
  EntryMap<Tenant> tenants = tenants_;
  const auto it = tenants.find(name);
  if (it == tenants.end()) return NoSuch("tenant", name);
  RECLAIM_RETURN_IF_ERROR(CheckChange(tenants, "tenant", name, etag));
  tenants.erase(it);
  RECLAIM_ASSIGN_OR_RETURN(auto book, Compile(tenants, quotas_));
  RECLAIM_RETURN_IF_ERROR(Write(absl::StrCat(kTenant, name), std::nullopt));
  tenants_ = std::move(tenants);
  book_ = std::move(book);
  return absl::OkStatus();
}

std::vector<RepositoryQuota> PolicyBook::ListQuotas() const {
  base::MutexLock lock(&mutex_);
  return ByName(quotas_);
}

absl::StatusOr<RepositoryQuota> PolicyBook::GetQuota(
    absl::string_view name) const {
  base::MutexLock lock(&mutex_);
  return FindEntry(quotas_, "quota", name);
}

absl::StatusOr<RepositoryQuota> PolicyBook::PutQuota(RepositoryQuota quota,
                                                     absl::string_view etag) {
  base::MutexLock lock(&mutex_);
  RECLAIM_RETURN_IF_ERROR(CheckChange(quotas_, "quota", quota.name, etag));
  quota.changed = clock_->Now();
  RECLAIM_ASSIGN_OR_RETURN(const std::string bytes, EncodeQuota(quota));
  RECLAIM_ASSIGN_OR_RETURN(const RepositoryQuota stored, DecodeQuota(bytes));
  EntryMap<RepositoryQuota> quotas = quotas_;
  quotas[stored.name] = stored;
  RECLAIM_ASSIGN_OR_RETURN(auto book, Compile(tenants_, quotas));
  RECLAIM_RETURN_IF_ERROR(Write(kQuota + stored.name, bytes));
  quotas_ = std::move(quotas);
  book_ = std::move(book);
  return stored;
}

absl::Status PolicyBook::DeleteQuota(absl::string_view name,
                                     absl::string_view etag) {
  base::MutexLock lock(&mutex_);
  EntryMap<RepositoryQuota> quotas = quotas_;
  const auto it = quotas.find(name);
  if (it == quotas.end()) return NoSuch("quota", name);
  RECLAIM_RETURN_IF_ERROR(CheckChange(quotas, "quota", name, etag));
  quotas.erase(it);
  RECLAIM_ASSIGN_OR_RETURN(auto book, Compile(tenants_, quotas));
  RECLAIM_RETURN_IF_ERROR(Write(absl::StrCat(kQuota, name), std::nullopt));
  quotas_ = std::move(quotas);
  book_ = std::move(book);
  return absl::OkStatus();
}

}  // namespace reclaim::gc
