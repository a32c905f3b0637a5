// What is read by hand is what protobuf reads: of all that we write, and of
// records in which any byte is another one.
//
// RECLAIM_SEED repeats a run.

#include "index/record_decoding.h"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "index/graph_records.h"
#include "index/memberships.h"
#include "index/node.h"
#include "index/resident_graph.h"
#include "reclaim/storage/v1/storage.pb.h"
#include "tests/support/seed.h"

namespace reclaim::index {
namespace {

using storage::v1::ContentRecord;
using storage::v1::MembershipRecord;

void ExpectSame(const ContentRow& row, const ContentRow& expected) {
  ASSERT_EQ(row.id, expected.id);
  ASSERT_EQ(row.key, expected.key);
  ASSERT_EQ(row.kind, expected.kind);
  ASSERT_EQ(row.state, expected.state);
  ASSERT_EQ(row.flags, expected.flags);
  ASSERT_EQ(row.store, expected.store);
  ASSERT_EQ(row.bytes, expected.bytes);
  ASSERT_EQ(row.extent, expected.extent);
  ASSERT_EQ(row.link_count, expected.link_count);
  ASSERT_EQ(row.stamp, expected.stamp);
  ASSERT_EQ(row.recorded, expected.recorded);
  ASSERT_EQ(row.used, expected.used);
  ASSERT_EQ(row.children, expected.children);
  ASSERT_EQ(row.subject, expected.subject);
}

void ExpectSame(const MembershipRow& row, const MembershipRow& expected) {
  ASSERT_EQ(row.repository, expected.repository);
  ASSERT_EQ(row.content, expected.content);
  ASSERT_EQ(row.kind, expected.kind);
  ASSERT_EQ(row.linked, expected.linked);
  ASSERT_EQ(row.is_only_name, expected.is_only_name);
}

absl::StatusOr<ContentRow> RowOf(const ContentRecord& record) {
  return ToRow(record);
}
absl::StatusOr<MembershipRow> RowOf(const MembershipRecord& record) {
  return ToRow(record);
}

// True if it was read by hand; then protobuf reads the same.
template <typename Record, typename Row>
bool AgreesWithProtobuf(const std::string& bytes, Row* row) {
  if (!DecodeRow(bytes, row)) return false;
  Record record;
  EXPECT_TRUE(record.ParseFromString(bytes));
  const absl::StatusOr<Row> expected = RowOf(record);
  EXPECT_TRUE(expected.ok()) << expected.status();
  if (expected.ok()) ExpectSame(*row, *expected);
  if (::testing::Test::HasFailure()) {
    ADD_FAILURE() << absl::BytesToHexString(bytes);
  }
  return true;
}

// Each byte another one, each one away, one more, and the end away.
template <typename Record, typename Row>
void ExpectAgreementWhenSpoiled(const std::string& bytes, Row* row) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string spoiled = bytes;
    for (int byte = 0; byte < 256; ++byte) {
      spoiled[i] = static_cast<char>(byte);
      AgreesWithProtobuf<Record>(spoiled, row);
    }
    AgreesWithProtobuf<Record>(bytes.substr(0, i), row);
    AgreesWithProtobuf<Record>(std::string(bytes).erase(i, 1), row);
    for (const char more : {'\0', '\x01', '\x80', '\xff'}) {
      AgreesWithProtobuf<Record>(std::string(bytes).insert(i, 1, more), row);
    }
    if (::testing::Test::HasFailure()) return;
  }
}

class Records {
 public:
  explicit Records(uint64_t seed) : random_(seed) {}

  // Often small, now and then of any size.
  uint64_t Number() {
    const uint64_t number = random_();
    return number >> (random_() % 64);
  }
  uint32_t Word() { return static_cast<uint32_t>(Number()); }
  int64_t Time() {
    if (Chance(10)) return std::numeric_limits<int64_t>::min();
    if (Chance(10)) return std::numeric_limits<int64_t>::max();
    return static_cast<int64_t>(Number() / 2) - 5;
  }
  bool Chance(uint64_t n) { return random_() % n == 0; }

  ContentRecord Content() {
    ContentRecord record;
    if (!Chance(3)) record.set_id(Word());
    if (!Chance(3)) record.set_store(Word());
    if (!Chance(3)) record.set_place(Word());
    const bool is_long = Chance(4);
    record.set_digest_algorithm(is_long ? 2 : 1);
    record.set_digest(
        std::string(is_long ? 64 : 32, static_cast<char>(Word())));
    if (!Chance(3)) record.set_kind(Word() % 7);
    if (!Chance(3)) record.set_state(Word() % 4);
    if (!Chance(3)) record.set_flags(Word());
    if (!Chance(3)) record.set_logical_bytes(Number());
    if (!Chance(3)) record.set_allocated_bytes(Number());
    if (Chance(3)) record.set_extent(Chance(2) ? 0 : Word());
    if (Chance(4)) record.set_device(Number());
    if (Chance(4)) record.set_inode(Number());
    if (!Chance(3)) record.set_stamp(Word());
    if (!Chance(3)) record.set_recorded(Time());
    if (Chance(2)) record.set_used(Chance(4) ? 0 : Time());
    if (Chance(2)) record.set_media_type("application/x-layer");
    for (uint64_t i = random_() % 5; i > 0; --i) record.add_children(Word());
    if (Chance(3)) record.set_subject(Chance(2) ? 0 : Word());
    if (Chance(4)) record.set_link_count(Number());
    return record;
  }
  MembershipRecord Membership() {
    MembershipRecord record;
    if (!Chance(3)) record.set_repository(Word());
    if (!Chance(3)) record.set_content(Word());
    if (!Chance(3)) record.set_kind(Word() % 4);
    if (!Chance(3)) record.set_linked(Time());
    record.set_is_only_name(Chance(2));
    return record;
  }

 private:
  std::mt19937_64 random_;
};

TEST(RecordDecodingTest, WhatWeWriteIsReadByHandAndTheSame) {
  const uint64_t seed = tests::AskSeed();
  Records records(seed);
  ContentRow content;
  MembershipRow membership;
  for (int i = 0; i < 5000; ++i) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " record ", i));
    ASSERT_TRUE(AgreesWithProtobuf<ContentRecord>(
        records.Content().SerializeAsString(), &content));
    ASSERT_TRUE(AgreesWithProtobuf<MembershipRecord>(
        records.Membership().SerializeAsString(), &membership));
    if (HasFailure()) return;
  }
}

TEST(RecordDecodingTest, OfASpoiledRecordBothSayTheSame) {
  const uint64_t seed = tests::AskSeed();
  Records records(seed);
  ContentRow content;
  MembershipRow membership;
  for (int i = 0; i < 20; ++i) {
    SCOPED_TRACE(absl::StrCat("RECLAIM_SEED=", seed, " record ", i));
    ExpectAgreementWhenSpoiled<ContentRecord>(
        records.Content().SerializeAsString(), &content);
    ExpectAgreementWhenSpoiled<MembershipRecord>(
        records.Membership().SerializeAsString(), &membership);
    if (HasFailure()) return;
  }
}

// One record behind the other is one to protobuf: of each field the last.
TEST(RecordDecodingTest, WhatIsNotAsWeWriteItIsLeftToProtobuf) {
  Records records(1);
  ContentRow content;
  MembershipRow membership;
  ContentRecord record;
  record.set_id(1);
  record.set_digest_algorithm(1);
  record.set_digest(std::string(32, 'd'));
  const std::string bytes = record.SerializeAsString();
  ASSERT_TRUE(DecodeRow(bytes, &content));
  EXPECT_FALSE(DecodeRow(bytes + bytes, &content));
  EXPECT_FALSE(DecodeRow("", &content)) << "it has no digest";
  record.mutable_config()->set_os("linux");
  EXPECT_FALSE(DecodeRow(record.SerializeAsString(), &content));
  record.clear_config();
  record.set_media_type("\xc3\xa4");
  EXPECT_FALSE(DecodeRow(record.SerializeAsString(), &content));
  record.clear_media_type();
  // Of a later version: field 100, a number.
  EXPECT_FALSE(DecodeRow(bytes + std::string("\xa0\x06\x01"), &content));
  EXPECT_TRUE(DecodeRow("", &membership)) << "zeros are not written";
  EXPECT_FALSE(DecodeRow(std::string("\x28\x02"), &membership))
      << "neither yes nor no";
  EXPECT_FALSE(DecodeRow(std::string("\x0a\x01x"), &membership));
}

}  // namespace
}  // namespace reclaim::index
