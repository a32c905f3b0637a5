#include "server/certificate_expiry.h"

#include <stdlib.h>

#include <fstream>
#include <string>

#include "base/status_matchers.h"
#include "gtest/gtest.h"

namespace reclaim::server {
namespace {

TEST(CertificateExpiryTest, OfACertificateThatOpensslMade) {
  const std::string folder = ::testing::TempDir();
  const std::string path = folder + "/server.crt";
  ASSERT_EQ(system(("openssl req -x509 -newkey ec -pkeyopt "
                    "ec_paramgen_curve:prime256v1 -nodes -keyout " +
                    folder + "/server.key -out " + path +
                    " -subj /CN=x -days 10 2>/dev/null")
                       .c_str()),
            0);
  const auto expiry = CertificateExpiry(path);
  ASSERT_THAT(expiry, base::IsOk());
  const std::string ends = folder + "/ends";
  ASSERT_EQ(system(("date -u +%s -d \"$(openssl x509 -noout -enddate -in " +
                    path + " | cut -d= -f2)\" >" + ends)
                       .c_str()),
            0);
  int64_t seconds = 0;
  std::ifstream(ends) >> seconds;
  EXPECT_EQ(absl::ToUnixSeconds(*expiry), seconds);
}

TEST(CertificateExpiryTest, WhatIsNone) {
  const std::string path = ::testing::TempDir() + "/none.crt";
  std::ofstream(path) << "nothing";
  EXPECT_THAT(CertificateExpiry(path),
              base::StatusIs(absl::StatusCode::kInvalidArgument));
  EXPECT_THAT(CertificateExpiry(path + "x"),
              base::StatusIs(absl::StatusCode::kNotFound));
}

}  // namespace
}  // namespace reclaim::server
