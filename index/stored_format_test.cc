// The stored bytes, pinned: what a version has written, all later ones read.
// Whoever changes these lines makes a new format (docs/FORMAT.md), unless a
// field was added that old records do not have.

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/simulated_clock.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/engine.h"
#include "index/graph_records.h"
#include "index/memory_engine.h"
#include "index/mutation.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "store/types.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;
using ::testing::HasSubstr;

constexpr char kEmptyImage[] =
    R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","size":0},"layers":[]})";

class StoredFormatTest : public ::testing::Test {
 protected:
  StoredFormatTest() : clock_(absl::FromUnixSeconds(1700000000)) {}

  absl::Status Open() {
    graph_.reset();
    auto opened = ReferenceGraph::Open(&engine_, &clock_, GraphOptions());
    if (opened.ok()) graph_ = *std::move(opened);
    return opened.status();
  }
  void Apply(std::vector<Operation> operations) {
    Mutation mutation;
    mutation.operations = std::move(operations);
    mutation.request_id = "r-1";
    mutation.actor = "test";
    EXPECT_THAT(graph_->Apply(mutation, Durability::kDurable), IsOk());
  }
  // Of each record its key and its value, in hexadecimal.
  std::vector<std::string> Stored(Family family) {
    std::vector<std::string> stored;
    EXPECT_THAT(
        engine_.Scan(family, "", "",
                     [&](absl::string_view key, absl::string_view value) {
                       stored.push_back(
                           absl::StrCat(absl::BytesToHexString(key), " ",
                                        absl::BytesToHexString(value)));
                       return true;
                     }),
        IsOk());
    return stored;
  }
  void PutVersion(uint32_t version) {
    storage::v1::GraphState state;
    state.set_format_version(version);
    Batch batch;
    batch.Put(Family::kMeta, kStateKey, state.SerializeAsString());
    ASSERT_THAT(engine_.Commit(batch, Durability::kDurable), IsOk());
  }

  base::SimulatedClock clock_;
  MemoryEngine engine_;
  std::unique_ptr<ReferenceGraph> graph_;
};

TEST(StoredKeysTest, AreBigEndian) {
  EXPECT_EQ(absl::BytesToHexString(IdKey(0x01020304)), "01020304");
  EXPECT_EQ(absl::BytesToHexString(SequenceKey(0x0102030405060708)),
            "0102030405060708");
  EXPECT_EQ(StoreKey(0x6162), "store/ab");
  EXPECT_EQ(PlaceKey(0x61626364), "place/abcd");
  EXPECT_EQ(absl::BytesToHexString(
                MembershipKey(1, 0x0203, store::MembershipKind::kLayer)),
            "000000010000020302");
  EXPECT_EQ(
      absl::BytesToHexString(RequestKey(0x0a0b, RequestKind::kAnswer, "id")),
      "00000a0b026964");
  EXPECT_EQ(RequestPeriod(absl::FromUnixSeconds(6 * 3600 * 7 + 1)), 7u);
}

TEST_F(StoredFormatTest, ARecordOfEachFamily) {
  ASSERT_THAT(Open(), IsOk());
  StoreRecord store;
  store.name = "s";
  ASSERT_THAT(graph_->RegisterStore(store), IsOk());
  PutManifest image;
  image.name = {"s", "", oci::Digest::Sha256Of(kEmptyImage)};
  image.bytes = kEmptyImage;
  PutBlob config;
  config.name = {"s", "", oci::Digest::Sha256Of("")};
  PutMembership link;
  link.store = "s";
  link.repository = "app";
  link.digest = config.name.digest;
  link.kind = store::MembershipKind::kLayer;
  PutTag tag;
  tag.store = "s";
  tag.repository = "app";
  tag.tag = "v1";
  tag.digest = image.name.digest;
  Apply({config, image, link, tag});
  const std::map<Family, std::vector<std::string>> expected = {
      {Family::kMeta,
       {"706c6163652f00000000 ",
        "7374617465 080110041801200128013005388080f9c0c1c482034001",
        "73746f72652f0000 120173180378808ece1c"}},
      {Family::kContent,
       {"00000000 20012a20e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca"
        "495991b7852b855300338017001788080f9c0c1c48203",
        "00000001 080120012a20aebe5b78f401a93ac344af2a85f218cdf8fc05fbbac41"
        "d7a3d960a44e0d2ee713002380148f60150f6017001788080f9c0c1c482038a012"
        "a6170706c69636174696f6e2f766e642e6f63692e696d6167652e6d616e6966657"
        "3742e76312b6a736f6e92010100"}},
      {Family::kNamed,
       {"00000002 080218102a036170705001588080f9c0c1c48203a201080a017312036"
        "17070",
        "00000003 0803181122036170702a0276315001588080f9c0c1c48203720101aa0"
        "15d0a017312036170701a02763122477368613235363a616562653562373866343"
        "031613933616333343461663261383566323138636466386663303566626261633"
        "4316437613364393630613434653064326565373132060880e2cfaa06"}},
      {Family::kMembership, {"000000020000000002 08021802208080f9c0c1c48203"}},
      {Family::kEvent,
       {"0000000000000001 0801108080f9c0c1c4820318012a01733a477368613235363"
        "a65336230633434323938666331633134396166626634633839393666623932343"
        "237616534316534363439623933346361343935393931623738353262383535620"
        "474657374",
        "0000000000000002 0802108080f9c0c1c48203180120022a01733a47736861323"
        "5363a6165626535623738663430316139336163333434616632613835663231386"
        "364663866633035666262616334316437613364393630613434653064326565373"
        "150f60158f601620474657374",
        "0000000000000003 0803108080f9c0c1c48203180120102a01734a03617070620"
        "474657374",
        "0000000000000004 0804108080f9c0c1c48203180120112a01733a47736861323"
        "5363a6165626535623738663430316139336163333434616632613835663231386"
        "364663866633035666262616334316437613364393630613434653064326565373"
        "142036170704a027631620474657374"}},
      {Family::kRequest, {"0001336f01722d31 088080f9c0c1c4820310041805"}},
  };
  for (const auto& [family, records] : expected) {
    EXPECT_EQ(Stored(family), records) << ToString(family);
  }
}

TEST_F(StoredFormatTest, ALaterFormatIsRefusedAndKept) {
  PutVersion(kFormatVersion + 1);
  const std::vector<std::string> before = Stored(Family::kMeta);
  // Not DATA_LOSS: nothing is damaged, and nothing is to be moved aside.
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kFailedPrecondition,
                               HasSubstr("has format 2")));
  EXPECT_EQ(Stored(Family::kMeta), before);
}

TEST_F(StoredFormatTest, NoFormatIsDamage) {
  PutVersion(0);
  EXPECT_THAT(Open(), StatusIs(absl::StatusCode::kDataLoss));
}

}  // namespace
}  // namespace reclaim::index
