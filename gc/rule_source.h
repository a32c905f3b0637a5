// gc/rule_source.h — where plans find the retention rules.

#ifndef RECLAIM_GC_RULE_SOURCE_H_
#define RECLAIM_GC_RULE_SOURCE_H_

#include <vector>

#include "gc/retention.h"

namespace reclaim::gc {

// Thread-safe.
class RuleSource {
 public:
  virtual ~RuleSource() = default;
  // All sets: those of the file first, then by name.
  virtual std::vector<RuleSet> RuleSets() const = 0;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_RULE_SOURCE_H_
