// gc/rule_source.h — where plans find the retention rules and the quotas.

#ifndef RECLAIM_GC_RULE_SOURCE_H_
#define RECLAIM_GC_RULE_SOURCE_H_

#include <memory>
#include <vector>

#include "gc/retention.h"
#include "gc/tenants.h"

namespace reclaim::gc {

// Thread-safe.
class RuleSource {
 public:
  virtual ~RuleSource() = default;
  // All sets: those of the file first, then by name.
  virtual std::vector<RuleSet> RuleSets() const = 0;
  // Tenants and quotas as they are now; null for none.
  virtual std::shared_ptr<const TenantBook> Tenants() const { return nullptr; }
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RULE_SOURCE_H_
