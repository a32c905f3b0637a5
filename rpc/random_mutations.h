// rpc/random_mutations.h — random requests of a recorder.  FOR TESTS ONLY.
//
// Names are from small pools, so that everything meets everything.  No request
// fails: what is used is put before it, and each lease and pin has an id of its
// own.

#ifndef RECLAIM_RPC_RANDOM_MUTATIONS_H_
#define RECLAIM_RPC_RANDOM_MUTATIONS_H_

#include <cstdint>
#include <random>
#include <string>

#include "absl/time/time.h"
#include "oci/digest.h"
#include "reclaim/v1/graph.pb.h"

namespace reclaim::rpc {

class RandomMutations {
 public:
  explicit RandomMutations(uint64_t seed) : random_(seed) {}

  // Leases and uploads end within two hours from then.
  void SetNow(absl::Time now) { now_ = now; }
  // One to three operations, and those that they need.
  v1::RecordRequest Next();
  int Below(int bound) {
    return static_cast<int>(random_() % static_cast<uint64_t>(bound));
  }

 private:
  std::string Pick(const char* kind, int count);
  std::string Image(int number) const;
  std::string Index(int number) const;
  oci::Digest AnyContent();
  oci::Digest AnyImage();
  int64_t AnyEnd();  // Unix seconds

  void AddOne(v1::RecordRequest* request);
  void AddContent(v1::Operation* operation);
  void AddBlob(v1::PutBlob* put);
  void AddTag(v1::PutTag* put);
  void AddUse(v1::RecordRequest* request, v1::Operation* operation);
  void AddConfig(v1::PutImageConfig* put);
  void AddRepository(v1::Operation* operation);
  void AddMember(v1::Operation* operation);
  void AddLease(v1::RecordRequest* request, v1::Operation* operation);
  void AddPin(v1::RecordRequest* request, v1::Operation* operation);
  void AddContainer(v1::PutContainer* put);
  void AddRemoval(v1::RemoveNamed* remove);
  void AddRecord(v1::Operation* operation);
  void AddSnapshot(v1::PutSnapshot* put);
  void AddCache(v1::PutBuildCache* put);
  void AddUpload(v1::PutUpload* put);

  std::mt19937_64 random_;
  absl::Time now_;
  int lease_count_ = 0;
  int pin_count_ = 0;
};

}  // namespace reclaim::rpc

#endif  // RECLAIM_RPC_RANDOM_MUTATIONS_H_
