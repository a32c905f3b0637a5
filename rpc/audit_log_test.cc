#include "rpc/audit_log.h"

#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/fault_point.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "base/utf8.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "store/testing/store_tree.h"

namespace reclaim::rpc {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class AuditLogTest : public ::testing::Test {
 protected:
  AuditLogTest() { options_.folder = folder_.path() + "/audit"; }

  std::unique_ptr<AuditLog> Open() {
    auto log = AuditLog::Open(options_, &clock_);
    EXPECT_THAT(log, base::IsOk());
    return log.ok() ? *std::move(log) : nullptr;
  }
  void Fill(int count) {
    const auto log = Open();
    for (int i = 0; i < count; ++i) {
      EXPECT_THAT(
          log->Append({{"event", "call"}, {"actor", absl::StrCat("uid:", i)}},
                      i % 2 == 0),
          base::IsOk());
    }
  }
  std::string PathOf(int segment) const {
    return absl::StrCat(options_.folder, "/audit-0000000", segment, ".log");
  }
  static std::string Text(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream text;
    text << file.rdbuf();
    return text.str();
  }
  static void Write(const std::string& path, const std::string& text) {
    std::ofstream(path, std::ios::binary) << text;
  }
  AuditReport Verify() const {
    const auto report = VerifyChain(options_.folder);
    EXPECT_THAT(report, base::IsOk());
    return report.ok() ? *report : AuditReport();
  }

  base::SimulatedClock clock_;
  store::TempFolder folder_;
  AuditOptions options_;
};

TEST_F(AuditLogTest, RecordsChainAcrossRestartsAndSegments) {
  options_.segment_bytes = 600;
  Fill(5);
  Fill(5);
  const AuditReport report = Verify();
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_EQ(report.record_count, 10u);
  EXPECT_EQ(report.first_sequence, 1u);
  EXPECT_EQ(report.head.sequence, 10u);
  EXPECT_TRUE(std::filesystem::exists(PathOf(2)));
  EXPECT_EQ(Open()->head().hash, report.head.hash);
}

// A record that is no text would hide all others from who asks for them.
TEST_F(AuditLogTest, WhatIsNoTextStandsEscaped) {
  const auto log = Open();
  ASSERT_THAT(log->Append({{"event", "call"}, {"actor", "cn:caf\xe9"}}, true),
              base::IsOk());
  const auto lines = log->Tail(1);
  ASSERT_THAT(lines, base::IsOk());
  ASSERT_THAT(*lines, SizeIs(1));
  EXPECT_TRUE(base::IsUtf8((*lines)[0]));
  EXPECT_THAT((*lines)[0], HasSubstr(R"("actor":"cn:caf\\xe9")"));
  EXPECT_THAT(Verify().faults, IsEmpty());
}

TEST_F(AuditLogTest, NobodyElseMayReadIt) {
  Fill(1);
  struct stat st;
  ASSERT_EQ(stat(options_.folder.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0700u);
  ASSERT_EQ(stat(PathOf(1).c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600u);
}

TEST_F(AuditLogTest, AChangedLineIsFoundWhereItStands) {
  Fill(9);
  const std::string good = Text(PathOf(1));
  for (int line = 1; line <= 9; ++line) {
    std::vector<std::string> lines = absl::StrSplit(good, '\n');
    // One bit of each part of the line in turn.
    for (const size_t at :
         {size_t{8}, lines[line - 1].size() / 2, lines[line - 1].size() - 10}) {
      std::vector<std::string> bent = lines;
      bent[line - 1][at] ^= 1;
      std::string text;
      for (const std::string& each : bent) {
        if (!each.empty()) absl::StrAppend(&text, each, "\n");
      }
      Write(PathOf(1), text);
      const AuditReport report = Verify();
      ASSERT_GE(report.faults.size(), 1u) << line << " " << at;
      EXPECT_EQ(report.faults[0].line, static_cast<uint64_t>(line));
    }
  }
}

TEST_F(AuditLogTest, DroppedAndSwappedLinesAreFound) {
  Fill(6);
  const std::string good = Text(PathOf(1));
  std::vector<std::string> lines = absl::StrSplit(good, '\n');
  lines.pop_back();
  for (size_t i = 1; i < lines.size(); ++i) {
    std::vector<std::string> less = lines;
    less.erase(less.begin() + static_cast<long>(i));
    std::string text;
    for (const std::string& line : less) absl::StrAppend(&text, line, "\n");
    Write(PathOf(1), text);
    // The last line alone can go unseen: the exported head tells of it.
    EXPECT_EQ(Verify().faults.empty(), i + 1 == lines.size()) << i;
    EXPECT_LT(Verify().head.sequence + 1, 8u);
  }
  std::swap(lines[2], lines[3]);
  std::string text;
  for (const std::string& line : lines) absl::StrAppend(&text, line, "\n");
  Write(PathOf(1), text);
  EXPECT_THAT(Verify().faults, SizeIs(::testing::Ge(1u)));
}

TEST_F(AuditLogTest, ATornLastLineIsCutAndThatIsOnRecord) {
  Fill(3);
  const std::string good = Text(PathOf(1));
  const size_t begin = good.rfind('\n', good.size() - 2) + 1;
  for (size_t size = begin + 1; size < good.size(); size += 17) {
    Write(PathOf(1), good.substr(0, size));
    const auto log = Open();
    ASSERT_NE(log, nullptr);
    const AuditReport report = Verify();
    EXPECT_THAT(report.faults, IsEmpty()) << size;
    EXPECT_EQ(report.record_count, 3u);
    EXPECT_THAT(Text(PathOf(1)), HasSubstr("torn-line-cut"));
  }
}

TEST_F(AuditLogTest, ABrokenChainStaysAsItIsAndTheLogGoesOnInAnother) {
  Fill(3);
  std::string text = Text(PathOf(1));
  text[10] ^= 1;
  Write(PathOf(1), text);
  Fill(1);
  EXPECT_EQ(Text(PathOf(1)), text);
  EXPECT_THAT(Text(PathOf(2)), HasSubstr("chain-broken"));
  EXPECT_THAT(Verify().faults, SizeIs(::testing::Ge(1u)));
}

TEST_F(AuditLogTest, WhatCannotBeWrittenIsAnErrorAndLaterRecordsStand) {
  const auto log = Open();
  EXPECT_THAT(log->Append({{"event", "a"}}, true), base::IsOk());
  {
    base::ScopedFault full("audit.write",
                           absl::ResourceExhaustedError("the disk is full"));
    EXPECT_THAT(log->Append({{"event", "b"}}, true),
                base::StatusIs(absl::StatusCode::kResourceExhausted));
  }
  EXPECT_THAT(log->Append({{"event", "c"}}, true), base::IsOk());
  EXPECT_THAT(Verify().faults, IsEmpty());
  EXPECT_EQ(Verify().record_count, 2u);
}

TEST_F(AuditLogTest, OldSegmentsGoAndTheRestStillVerifies) {
  options_.segment_bytes = 300;
  options_.segment_count_max = 2;
  Fill(20);
  const AuditReport report = Verify();
  EXPECT_THAT(report.faults, IsEmpty());
  EXPECT_GT(report.first_sequence, 1u);
  EXPECT_EQ(report.head.sequence, 20u);
}

TEST_F(AuditLogTest, HostileTextStaysOnItsLine) {
  const auto log = Open();
  EXPECT_THAT(
      log->Append({{"actor", "a\"},\n{\"seq\":9\\\x01\x7f"}, {"none", ""}},
                  true),
      base::IsOk());
  EXPECT_THAT(Verify().faults, IsEmpty());
  const auto tail = log->Tail(10);
  ASSERT_THAT(tail, base::IsOk());
  ASSERT_THAT(*tail, SizeIs(1));
  EXPECT_THAT((*tail)[0],
              HasSubstr("\"actor\":\"a\\\"},\\u000a{\\\"seq\\\":9\\\\\\u0001"));
  EXPECT_THAT((*tail)[0], ::testing::Not(HasSubstr("none")));
}

TEST_F(AuditLogTest, TheTailIsNewestFirst) {
  options_.segment_bytes = 300;
  Fill(7);
  const auto tail = Open()->Tail(4);
  ASSERT_THAT(tail, base::IsOk());
  ASSERT_THAT(*tail, SizeIs(4));
  EXPECT_TRUE(absl::StartsWith((*tail)[0], "{\"seq\":7,"));
  EXPECT_TRUE(absl::StartsWith((*tail)[3], "{\"seq\":4,"));
}

TEST_F(AuditLogTest, DeletionsAreRecordedItemByItem) {
  const auto log = Open();
  gc::DeletionRecord record;
  record.store = "hub";
  record.run_id = "0123";
  record.actor = "uid:7";
  record.restorable_until = clock_.Now();
  record.items = {{"blob sha256:aa", gc::DoomReason::kUnreferenced, {5, 4096}},
                  {"blob sha256:bb", gc::DoomReason::kDangling, {6, 8192}}};
  EXPECT_THAT(log->Record(record), base::IsOk());
  const std::string line = log->Tail(1)->front();
  EXPECT_THAT(line, HasSubstr("\"bytes\":\"12288\""));
  EXPECT_THAT(line, HasSubstr("blob sha256:bb dangling 8192"));
  EXPECT_THAT(line, HasSubstr("\"restorable_until\""));
}

// Names come from folders and engines, which take what registries do not.
TEST_F(AuditLogTest, NoNameReadsAsAnotherItem) {
  const auto log = Open();
  gc::DeletionRecord record;
  record.store = "hub";
  record.items = {
      {"tag app:x; blob sha256:bb", gc::DoomReason::kDangling, {0, 4096}},
      {"volume a\"b\n", gc::DoomReason::kUnused, {6, 8192}},
      {"blob some/place sha256:aa", gc::DoomReason::kUnreferenced, {5, 1}}};
  EXPECT_THAT(log->Record(record), base::IsOk());
  // Quoted as an item, and then as JSON.
  EXPECT_THAT(log->Tail(1)->front(),
              HasSubstr(R"("count":"3","bytes":"12289","items":)"
                        R"("\"tag app:x; blob sha256:bb\" dangling 4096; )"
                        R"(\"volume a\\\"b\\n\" unused 8192; )"
                        R"(blob some/place sha256:aa unreferenced 1")"));
  EXPECT_THAT(Verify().faults, IsEmpty());
}

}  // namespace
}  // namespace reclaim::rpc
