// gc/shared_files.h — private to gc: whose bytes a file with several names is.
//
// The graph knows what the last scan told of hard links, and a new name for a
// file changes no folder that a scan would look at again.  So what a plan
// promises is held against the files as they are when it is made.

#ifndef RECLAIM_GC_SHARED_FILES_H_
#define RECLAIM_GC_SHARED_FILES_H_

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "gc/plan.h"
#include "index/graph_view.h"
#include "index/node.h"
#include "store/types.h"

namespace reclaim::gc {

// Items of a plan that are names of files with several.  Not thread-safe.
class SharedFiles {
 public:
  // One of the names is item `number` of the plan.  In the order of the deed.
  void Add(const store::SharedFile& name, uint64_t number,
           const PlanItem& item);
  bool empty() const { return files_.empty(); }

  // After the last: the bytes of each file are its last item's if no other name
  // will be left, and else nobody's (PlanItem::held, if it is a name elsewhere
  // that is left).
  void Settle(const index::GraphView& view);
  // Says so in items of the plan, from number `first` on.
  void Charge(uint64_t first, std::vector<PlanItem>* items) const;

 private:
  struct File {
    std::vector<uint64_t> items;  // in the order of the deed
    index::NodeId last = index::kNoNode;
    bool is_blob = false;
    uint64_t link_count = 0;
    store::Bytes bytes;
  };
  enum class Share { kNothing, kAll, kHeld };
  struct Charged {
    Share share = Share::kNothing;
    bool is_blob = false;
    store::Bytes bytes;
  };
  static void ChargeOne(const Charged& charged, PlanItem* item);

  std::map<store::Extent, File> files_;
  std::map<uint64_t, std::vector<Charged>> charged_;
};

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_SHARED_FILES_H_
