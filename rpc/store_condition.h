// rpc/store_condition.h — what a reader of a store's figures has to know first.
//
// Thread-safe.

#ifndef RECLAIM_RPC_STORE_CONDITION_H_
#define RECLAIM_RPC_STORE_CONDITION_H_

#include <optional>
#include <string>

#include "index/reference_graph.h"
#include "rpc/service_parts.h"
#include "store/types.h"

namespace reclaim::rpc {

struct StoreCondition {
  std::string state;                         // Store.state of store.proto
  std::optional<store::StoreTraits> traits;  // unset: it is not open
  std::optional<store::Capacity> capacity;   // unset: nobody can say
};

// Asks the store for its capacity, which an engine answers itself.
StoreCondition ConditionOf(const ServiceParts& parts,
                           const index::StoreRecord& record);

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_STORE_CONDITION_H_
