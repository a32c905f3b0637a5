// Targets of prunes and the usage of tenants, from the command line.

#include <string>

#include "absl/status/status.h"
#include "base/fault_point.h"
#include "cli/command_fixture.h"

namespace reclaim::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class TargetTest : public CommandFixture {
 protected:
  void SetUp() override {
    gc::Tenant tenant;
    tenant.name = "everybody";
    tenant.repositories = {"**"};
    tenant.quota_bytes = 1;
    file_policies_.tenants.tenants = {tenant};
    CommandFixture::SetUp();
    AddAndScan();
  }
};

TEST_F(TargetTest, APlanSaysHowFarItGoes) {
  ASSERT_EQ(Run({"plan", "--free", "1"}), kDone) << err_;
  EXPECT_THAT(out_, Not(HasSubstr("0 items")));
  EXPECT_THAT(out_, HasSubstr("Its target asks for 1B (1 bytes)"));
  EXPECT_THAT(out_, Not(HasSubstr("falls short")));
  EXPECT_EQ(Run({"plan", "--free", "1TB"}), kShort) << err_;
  EXPECT_THAT(out_, HasSubstr("It falls short by "));
  EXPECT_EQ(Run({"plan", "--high", "100", "--low", "100"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("0 items"));
  EXPECT_THAT(out_, Not(HasSubstr("Apply it with")));
}

TEST_F(TargetTest, APruneTakesTheQuarantineFirst) {
  ASSERT_EQ(Run({"image", "prune", "--free", "1", "-f"}), kDone) << err_;
  EXPECT_THAT(err_, HasSubstr("Its target asks for 1B"));
  ASSERT_EQ(Run({"image", "prune", "--free", "1", "-f"}), kDone) << err_;
  EXPECT_THAT(err_, HasSubstr("1B of the quarantine are freed for good"));
  EXPECT_THAT(out_, HasSubstr("Total reclaimed space: 0B"));
  EXPECT_EQ(Run({"image", "prune", "--keep-under", "1", "-f"}), kShort);
  EXPECT_THAT(err_, HasSubstr("falls short"));
}

// --allow-partial is about what could not be judged, and about nothing else.
TEST_F(TargetTest, WhatMayBeLeftHidesNoTargetThatIsNotReached) {
  tree_.Manifest("app", "{");
  ASSERT_EQ(Run({"scan"}), kPartial);
  EXPECT_EQ(Run({"prune", "-f", "--free", "1TB"}), kPartial) << err_;
  for (const char* how : {"--force", "--dry-run"}) {
    EXPECT_EQ(Run({"prune", how, "--free", "1TB", "--allow-partial"}), kShort)
        << how << err_;
    EXPECT_EQ(Run({"prune", how, "--fail-if-empty", "--allow-partial"}),
              kNothing)
        << how << err_;
    EXPECT_EQ(Run({"prune", how, "--allow-partial"}), kDone) << how << err_;
  }
}

TEST_F(TargetTest, WhatMayBeLeftHidesNothingThatFailed) {
  const base::ScopedFault fault(
      "rooted_dir.move",
      absl::FailedPreconditionError("Read-only file system"));
  EXPECT_EQ(Run({"prune", "-f", "--allow-large", "--allow-partial"}), kPartial)
      << err_;
  EXPECT_GT(fault.hit_count(), 0);
  EXPECT_THAT(err_, HasSubstr("Read-only file system"));
}

TEST_F(TargetTest, TheQuestionSaysHowFarItGoes) {
  EXPECT_EQ(Run({"image", "prune", "--free", "1"}, "n\n", true), kDeclined);
  EXPECT_THAT(err_, HasSubstr("no more than the target needs"));
  EXPECT_THAT(err_, HasSubstr("Its target asks for 1B"));
}

TEST_F(TargetTest, FlagsThatContradictAreRefused) {
  EXPECT_EQ(Run({"plan", "--free", "1", "--keep-under", "1"}), kUsage);
  EXPECT_EQ(Run({"plan", "--high", "85"}), kUsage);
  EXPECT_EQ(Run({"plan", "--free", "much"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("--free"));
  EXPECT_EQ(Run({"volume", "prune", "--free", "1"}), kUsage);
}

// What says nothing is no plan without a target, which would take all.
TEST_F(TargetTest, ATargetThatSaysNothingIsRefused) {
  EXPECT_EQ(Run({"plan", "--high", "0", "--low", "0"}), kUsage);
  EXPECT_THAT(err_, HasSubstr("--high"));
  EXPECT_EQ(Run({"plan", "--high", "85", "--low", "0"}), kUsage);
  EXPECT_EQ(Run({"plan", "--free", ""}), kUsage);
  EXPECT_THAT(err_, HasSubstr("--free"));
  EXPECT_EQ(Run({"image", "prune", "--keep-under", "", "-f"}), kUsage);
  EXPECT_EQ(Run({"builder", "prune", "--max-used-space", "", "-f"}), kUsage);
  EXPECT_EQ(Run({"schedule", "set", "x", "--every", "5m", "--high", "0",
                 "--low", "0"}),
            kUsage);
}

TEST_F(TargetTest, QuotasAndTenants) {
  ASSERT_EQ(Run({"df", "--by", "tenant"}), kDone) << err_;
  EXPECT_THAT(out_, HasSubstr("TENANT"));
  EXPECT_THAT(out_, HasSubstr("QUOTA"));
  EXPECT_THAT(out_, HasSubstr("everybody"));
  EXPECT_EQ(Run({"plan", "--rules", "--quotas"}), kShort) << err_;
  EXPECT_THAT(out_, HasSubstr("0 items"));
  ASSERT_EQ(Run({"plan", "-a", "--containers-are-complete", "--quotas"}), kDone)
      << err_ << out_;
  EXPECT_THAT(out_, HasSubstr("app:v1"));
  EXPECT_THAT(out_, HasSubstr("1 images lose their names; no choice could do "
                              "with fewer than 1"));
}

}  // namespace
}  // namespace reclaim::cli
