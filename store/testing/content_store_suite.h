// store/testing/content_store_suite.h — what every content store must do.
//
// One suite for all stores: a store's test says how to make its content (a
// StoreWorld) and instantiates the suite:
//
//   INSTANTIATE_TEST_SUITE_P(Memory, ContentStoreSuite,
//                            ::testing::Values(&MakeMemoryWorld));

#ifndef RECLAIM_STORE_TESTING_CONTENT_STORE_SUITE_H_
#define RECLAIM_STORE_TESTING_CONTENT_STORE_SUITE_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "oci/digest.h"
#include "store/content_store.h"
#include "store/scan.h"
#include "store/testing/deletion_permit_for_test.h"
#include "store/types.h"

namespace reclaim::store {

// A store's content and the ways in which others change it.
class StoreWorld {
 public:
  virtual ~StoreWorld() = default;

  // A repository of this world, and where its blobs are.
  virtual std::string repository() const = 0;
  virtual Place place() const = 0;

  // An image with a config and these layers, a revision of the repository;
  // named `tag` unless "".
  virtual oci::Digest PutImage(const std::string& tag,
                               const std::vector<std::string>& layers) = 0;
  virtual oci::Digest PutBlob(const std::string& bytes) = 0;
  // Writes other bytes where the blob is.
  virtual void Damage(const oci::Digest& digest) = 0;

  // What its store was before it was closed.
  virtual absl::StatusOr<std::unique_ptr<ContentStore>> Open(
      bool is_read_only) = 0;
};

using MakeStoreWorld = std::unique_ptr<StoreWorld> (*)();

// All facts of a scan, as text.
class ScanPicture final : public ScanSink {
 public:
  absl::Status Accept(ScanBatch batch) override;
  bool IsCancelled() const override { return is_cancelled; }

  std::set<std::string> facts;
  std::map<std::string, Bytes> blobs;  // by digest
  bool is_cancelled = false;
  uint64_t unreadable_count = 0;
};

class ContentStoreSuite : public ::testing::TestWithParam<MakeStoreWorld> {
 protected:
  ContentStoreSuite();
  void Reopen(bool is_read_only = false);
  ScanPicture Scan() const;
  bool IsThere(const oci::Digest& digest) const;

  Removal Blob(const oci::Digest& digest) const;
  Removal Tag(const std::string& tag, const oci::Digest& digest) const;
  Removal Revision(const oci::Digest& digest) const;

  // Every outcome is OK.
  void Quarantine(const std::vector<Removal>& removals);
  void Restore(const std::vector<Removal>& removals);
  void Purge(const std::vector<Removal>& removals);

  std::unique_ptr<StoreWorld> world_;
  oci::Digest named_, unnamed_;  // images that share the layer "shared"
  std::unique_ptr<ContentStore> store_;
  DeletionPermitForTest permit_;
};

}  // namespace reclaim::store

#endif  // RECLAIM_STORE_TESTING_CONTENT_STORE_SUITE_H_
