// Pages end before they are too large for a client that takes what gRPC takes
// by default, and nothing is left out or told twice.

#include "rpc/page_bytes.h"

#include <memory>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "rpc/server_fixture.h"

namespace reclaim::rpc {
namespace {

using Graph = v1::GraphService::Stub;
using Leases = v1::LeaseService::Stub;
using Names = std::multiset<std::string>;
using Usage = v1::UsageService::Stub;

constexpr int kCount = 60;
constexpr size_t kLabelBytes = 40'000;

TEST(PageBytesTest, TheFirstRowIsTakenAndWhatFitsAfterIt) {
  v1::Volume large;
  large.set_name(std::string(2 * kPageBytesMax, 'v'));
  v1::Volume small;
  small.set_name("v");
  PageBytes page;
  EXPECT_TRUE(page.Take(large)) << "it goes alone";
  EXPECT_FALSE(page.Take(small));
  PageBytes other;
  EXPECT_TRUE(other.Take(small));
  EXPECT_FALSE(other.Take(large));
}

class PagesTest : public ServerFixture {
 protected:
  void SetUp() override {
    ServerFixture::SetUp();
    AddExternalStore();
  }

  // All rows of a list, read by a client with gRPC's default limits.
  template <typename Service, typename Request, typename Response,
            typename NameOf>
  Names ReadAll(const std::unique_ptr<Service>& stub,
                grpc::Status (Service::*list)(grpc::ClientContext*,
                                              const Request&, Response*),
                Request request, NameOf add_names) {
    request.set_page_size(1000);
    page_count_ = 0;
    Names names;
    do {
      Response page;
      const grpc::Status status = Ask(stub, list, request, &page);
      EXPECT_TRUE(status.ok()) << status.error_message();
      EXPECT_LE(page.ByteSizeLong(), kPageBytesMax);
      ++page_count_;
      add_names(page, &names);
      request.set_page_token(page.next_page_token());
    } while (!request.page_token().empty() && page_count_ <= kCount);
    return names;
  }

  static std::string Id(int i) { return absl::StrCat("id-", 100 + i); }
  static Names Ids() {
    Names ids;
    for (int i = 0; i < kCount; ++i) ids.insert(Id(i));
    return ids;
  }
  static std::string Large() { return std::string(kLabelBytes, 'l'); }
  // Rows of 40 kB, so many that their page is larger than what gRPC takes.
  void ExpectPages(const Names& names) {
    EXPECT_EQ(names, Ids());
    EXPECT_GE(page_count_, 3) << "2.4 MB";
    EXPECT_LE(page_count_, 4) << "as many on a page as fit";
  }

  int page_count_ = 0;
};

TEST_F(PagesTest, OfContainersVolumesAndNetworks) {
  v1::RecordRequest request;
  for (int i = 0; i < kCount; ++i) {
    auto* container = request.add_operations()->mutable_put_container();
    container->set_id(Id(i));
    (*container->mutable_labels())["l"] = Large();
    auto* volume = request.add_operations()->mutable_put_volume();
    volume->set_name(Id(i));
    (*volume->mutable_labels())["l"] = Large();
    auto* network = request.add_operations()->mutable_put_network();
    network->set_name(Id(i));
    (*network->mutable_labels())["l"] = Large();
  }
  Record(request);
  ExpectPages(ReadAll(usage_stub_, &Usage::ListContainers,
                      v1::ListContainersRequest(),
                      [](const auto& page, Names* names) {
                        for (const auto& row : page.containers()) {
                          names->insert(row.id());
                        }
                      }));
  ExpectPages(ReadAll(usage_stub_, &Usage::ListVolumes,
                      v1::ListVolumesRequest(),
                      [](const auto& page, Names* names) {
                        for (const auto& row : page.volumes()) {
                          names->insert(row.name());
                        }
                      }));
  ExpectPages(ReadAll(usage_stub_, &Usage::ListNetworks,
                      v1::ListNetworksRequest(),
                      [](const auto& page, Names* names) {
                        for (const auto& row : page.networks()) {
                          names->insert(row.name());
                        }
                      }));
  v1::ListNodesRequest nodes;
  nodes.set_kind(v1::NODE_KIND_VOLUME);
  ExpectPages(ReadAll(graph_stub_, &Graph::ListNodes, nodes,
                      [](const auto& page, Names* names) {
                        for (const auto& row : page.nodes()) {
                          names->insert(row.name());
                        }
                      }));
}

TEST_F(PagesTest, OfImagesAndTheirNodes) {
  Names manifests;
  v1::RecordRequest request;
  for (int i = 0; i < kCount; ++i) {
    const std::string config =
        absl::StrCat(R"({"architecture":"amd64","os":"linux","config":{)",
                     R"("Labels":{")", Id(i), R"(":")", Large(), R"("}}})");
    const oci::Digest digest = oci::Digest::Sha256Of(config);
    auto* blob = request.add_operations()->mutable_put_blob();
    blob->mutable_name()->set_digest(digest.ToString());
    blob->mutable_bytes()->set_logical_bytes(config.size());
    blob->mutable_bytes()->set_allocated_bytes(config.size());
    const std::string manifest = store::ImageText({digest});
    request.add_operations()->mutable_put_manifest()->set_manifest(manifest);
    auto* details = request.add_operations()->mutable_put_image_config();
    details->mutable_name()->set_digest(digest.ToString());
    details->set_config(config);
    manifests.insert(oci::Digest::Sha256Of(manifest).ToString());
  }
  Record(request);
  Names images =
      ReadAll(usage_stub_, &Usage::ListImages, v1::ListImagesRequest(),
              [](const auto& page, Names* names) {
                for (const auto& row : page.images()) {
                  names->insert(row.digest());
                }
              });
  EXPECT_EQ(images, manifests);
  EXPECT_GE(page_count_, 3);
  v1::ListNodesRequest nodes;
  nodes.set_kind(v1::NODE_KIND_CONFIG);
  const Names configs = ReadAll(graph_stub_, &Graph::ListNodes, nodes,
                                [](const auto& page, Names* names) {
                                  for (const auto& row : page.nodes()) {
                                    names->insert(row.digest());
                                  }
                                });
  EXPECT_EQ(configs.size(), size_t{kCount});
  EXPECT_EQ(std::set<std::string>(configs.begin(), configs.end()).size(),
            size_t{kCount});
}

TEST_F(PagesTest, OfLeases) {
  for (int i = 0; i < kCount; ++i) {
    v1::CreateLeaseRequest create;
    create.mutable_lease()->set_id(Id(i));
    (*create.mutable_lease()->mutable_labels())["l"] = Large();
    v1::Lease lease;
    const grpc::Status status =
        Ask(lease_stub_, &Leases::CreateLease, create, &lease);
    ASSERT_TRUE(status.ok()) << status.error_message();
  }
  ExpectPages(ReadAll(lease_stub_, &Leases::ListLeases, v1::ListLeasesRequest(),
                      [](const auto& page, Names* names) {
                        for (const auto& row : page.leases()) {
                          names->insert(row.id());
                        }
                      }));
}

}  // namespace
}  // namespace reclaim::rpc
