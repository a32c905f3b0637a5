// rpc/testing/engine_records.h — what an engine has, old and young, and which
// of it each filter of a prune selects; for the gRPC face and the command line
// alike.

#ifndef RECLAIM_RPC_TESTING_ENGINE_RECORDS_H_
#define RECLAIM_RPC_TESTING_ENGINE_RECORDS_H_

#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "reclaim/v1/collection.pb.h"
#include "reclaim/v1/graph.pb.h"

namespace reclaim::rpc {

// Containers, networks, volumes, build cache and images of a store that knows
// its containers.  The names of all of them are different.
class EngineRecords {
 public:
  // Their ages count from `now`.
  explicit EngineRecords(absl::Time now);

  // The store is left out: it is the only one.
  const v1::RecordRequest& request() const { return request_; }
  // The image of a manifest's digest, or "" for other content.
  std::string ImageOf(const std::string& digest) const;
  std::string DigestOf(const std::string& image) const;

 private:
  v1::PutContainer* AddContainer(const std::string& id,
                                 v1::ContainerState state, absl::Duration age);
  v1::PutNetwork* AddNetwork(const std::string& name, absl::Duration age);
  v1::PutVolume* AddVolume(const std::string& name, bool is_anonymous);
  v1::PutBuildCache* AddCache(const std::string& id);
  void AddContainers();
  void AddNetworks();
  void AddVolumes();
  void AddBuildCache();
  // With its config; one tag of "app" unless "".
  void AddImage(const std::string& name, const std::string& tag,
                absl::Duration age);

  absl::Time now_;
  v1::RecordRequest request_;
  std::map<std::string, std::string> images_;  // by digest
};

// A prune and what it selects.
struct PruneCase {
  v1::PruneVerb verb;
  std::vector<std::string> filters;
  std::set<std::string> gone;
  bool all = false;      // --all, of the verb
  bool volumes = false;  // --volumes, of a system prune
};
const std::vector<PruneCase>& PruneCases();

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_TESTING_ENGINE_RECORDS_H_
