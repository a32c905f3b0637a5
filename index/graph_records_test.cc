#include "index/graph_records.h"

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/node.h"
#include "oci/digest.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

storage::v1::ContentRecord WithEverything() {
  storage::v1::ContentRecord record;
  record.set_id(7);
  record.set_store(1);
  record.set_place(2);
  record.set_digest_algorithm(1);
  record.set_digest(std::string(32, 'd'));
  record.set_kind(static_cast<uint32_t>(NodeKind::kManifest));
  record.set_state(static_cast<uint32_t>(NodeState::kPresent));
  record.set_flags(kOpaque);
  record.set_logical_bytes(10);
  record.set_allocated_bytes(20);
  record.set_extent(8);
  record.set_stamp(3);
  record.set_recorded(4);
  record.set_used(5);
  record.add_children(9);
  record.add_children(11);
  record.set_subject(12);
  record.set_link_count(2);
  return record;
}

TEST(GraphRecordsTest, ARowSaysWhatItsRecordSays) {
  const absl::StatusOr<ContentRow> row = ToRow(WithEverything());
  ASSERT_THAT(row, IsOk());
  EXPECT_EQ(row->id, 7u);
  EXPECT_EQ(row->store, 1);
  EXPECT_EQ(row->key.place, 2u);
  EXPECT_EQ(row->key.digest.bytes(), std::string(32, 'd'));
  EXPECT_EQ(row->kind, NodeKind::kManifest);
  EXPECT_EQ(row->state, NodeState::kPresent);
  EXPECT_EQ(row->flags, kOpaque);
  EXPECT_EQ(row->bytes, store::Bytes()) << "its extent has them";
  EXPECT_EQ(row->extent, 8u);
  EXPECT_EQ(row->stamp, 3u);
  EXPECT_EQ(row->recorded, FromMicros(4));
  EXPECT_EQ(row->used, FromMicros(5));
  EXPECT_THAT(row->children, ElementsAre(9u, 11u));
  EXPECT_EQ(row->subject, 12u);
  EXPECT_EQ(row->link_count, 2u);
}

// Rows are read one into the other: what the next does not say is not there.
TEST(GraphRecordsTest, NothingIsLeftOfTheContentRowBefore) {
  ContentRow row;
  ASSERT_THAT(ToRow(WithEverything(), &row), IsOk());
  storage::v1::ContentRecord next;
  next.set_digest_algorithm(1);
  next.set_digest(std::string(32, 'n'));
  ASSERT_THAT(ToRow(next, &row), IsOk());
  EXPECT_EQ(row.id, 0u);
  EXPECT_EQ(row.key.digest.bytes(), std::string(32, 'n'));
  EXPECT_EQ(row.key.place, 0u);
  EXPECT_EQ(row.kind, NodeKind::kBlob);
  EXPECT_EQ(row.state, NodeState::kAbsent);
  EXPECT_EQ(row.flags, 0);
  EXPECT_EQ(row.bytes, store::Bytes());
  EXPECT_EQ(row.extent, kNoNode);
  EXPECT_EQ(row.link_count, 0u);
  EXPECT_EQ(row.stamp, 0u);
  EXPECT_EQ(row.recorded, absl::UnixEpoch());
  EXPECT_EQ(row.used, absl::InfinitePast());
  EXPECT_THAT(row.children, IsEmpty());
  EXPECT_EQ(row.subject, kNoNode);
  next.set_kind(static_cast<uint32_t>(NodeKind::kExtent));
  ASSERT_THAT(ToRow(next, &row), IsOk());
  EXPECT_TRUE(row.key.digest.empty()) << "a file has none";
}

TEST(GraphRecordsTest, NothingIsLeftOfTheNamedRowBefore) {
  storage::v1::NamedRecord record;
  record.set_kind(static_cast<uint32_t>(NodeKind::kLease));
  record.set_scope("a scope");
  record.set_name("a name");
  record.set_used(5);
  record.set_expires(6);
  record.add_targets(7);
  NamedRow row;
  ToRow(record, &row);
  EXPECT_EQ(row.key.scope, "a scope");
  EXPECT_EQ(row.used, FromMicros(5));
  EXPECT_EQ(row.expires, FromMicros(6));
  EXPECT_THAT(row.targets, ElementsAre(7u));
  ToRow(storage::v1::NamedRecord(), &row);
  EXPECT_EQ(row.key.scope, "");
  EXPECT_EQ(row.key.name, "");
  EXPECT_EQ(row.used, absl::InfinitePast());
  EXPECT_EQ(row.expires, absl::InfiniteFuture());
  EXPECT_THAT(row.targets, IsEmpty());
}

TEST(GraphRecordsTest, AnImpossibleDigestIsDamage) {
  storage::v1::ContentRecord record = WithEverything();
  record.set_digest("short");
  EXPECT_THAT(ToRow(record), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace reclaim::index
