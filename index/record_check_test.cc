#include "index/record_check.h"

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "base/status_matchers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "index/memberships.h"
#include "tests/support/graph_text.h"

namespace reclaim::index {
namespace {

using ::reclaim::base::IsOk;
using ::reclaim::base::StatusIs;

constexpr NodeId kNew = 100;
constexpr NodeId kNodeCount = 200;

class RecordCheckTest : public ::testing::Test {
 protected:
  ContentRow Content() {
    ContentRow row = graph_.content("M1");
    row.id = kNew;
    row.key.digest = oci::Digest::Sha256Of("another");
    return row;
  }
  NamedRow Named() {
    NamedRow row = graph_.named("app:v1");
    row.id = kNew;
    row.key.name = "another";
    return row;
  }
  MembershipRow Membership() {
    MembershipRow row;
    row.repository = graph_.Id("repository/app");
    row.content = graph_.Id("M1");
    return row;
  }

  // By itself, and then among all.
  absl::Status CheckLink(const MembershipRow& row) {
    const absl::Status alone = check_.Check(row);
    if (!alone.ok()) return alone;
    Memberships links;
    links.Put(row);
    return check_.CheckLinks(links);
  }

  tests::TextGraph graph_{"M1(c1:10 l1:100); app:v1=M1; +app=M1"};
  RecordCheck check_{&graph_.graph(), kNodeCount};
};

TEST_F(RecordCheckTest, WhatFitsGoesIn) {
  EXPECT_THAT(check_.Check(Content()), IsOk());
  EXPECT_THAT(check_.Check(Named()), IsOk());
  EXPECT_THAT(CheckLink(Membership()), IsOk());
}

TEST_F(RecordCheckTest, ContentThatDoesNotFitIsNamed) {
  const std::vector<std::function<void(ContentRow*)>> damages = {
      [](ContentRow* row) { row->id = kNodeCount; },
      [](ContentRow* row) { row->id = kNoNode; },
      [this](ContentRow* row) { row->id = graph_.Id("l1"); },
      [](ContentRow* row) { row->kind = NodeKind::kTag; },
      [](ContentRow* row) { row->kind = static_cast<NodeKind>(9); },
      [](ContentRow* row) { row->state = static_cast<NodeState>(3); },
      [](ContentRow* row) { row->store = 77; },
      [](ContentRow* row) { row->key.place = 77; },
      [](ContentRow* row) { row->children = {kNodeCount}; },
      [](ContentRow* row) {
        row->children = {1, 1};
      },
      [](ContentRow* row) { row->children = {row->id}; },
      [](ContentRow* row) { row->subject = kNodeCount; },
      [](ContentRow* row) { row->subject = row->id; },
      [](ContentRow* row) { row->extent = kNodeCount; },
      [](ContentRow* row) { row->extent = row->id; },
      [](ContentRow* row) { row->flags = kOnlyName; },
      [](ContentRow* row) { row->flags = kReferrer | kFlat; },
  };
  for (size_t i = 0; i < damages.size(); ++i) {
    ContentRow row = Content();
    damages[i](&row);
    EXPECT_THAT(check_.Check(row), StatusIs(absl::StatusCode::kDataLoss)) << i;
  }
}

TEST_F(RecordCheckTest, ALeaseMayBeFlat) {
  NamedRow row = Named();
  row.key.kind = NodeKind::kLease;
  row.flags = kFlat;
  EXPECT_THAT(check_.Check(row), IsOk());
}

TEST_F(RecordCheckTest, OnlyManifestsHaveParts) {
  for (const NodeKind kind : {NodeKind::kManifest, NodeKind::kImageIndex}) {
    ContentRow row = Content();
    row.kind = kind;
    EXPECT_THAT(check_.Check(row), IsOk()) << ToString(kind);
  }
  for (const NodeKind kind : {NodeKind::kBlob, NodeKind::kConfig,
                              NodeKind::kLayer, NodeKind::kExtent}) {
    ContentRow row = Content();
    row.kind = kind;
    EXPECT_THAT(check_.Check(row), StatusIs(absl::StatusCode::kDataLoss))
        << ToString(kind);
    row.children.clear();
    EXPECT_THAT(check_.Check(row), IsOk()) << ToString(kind);
  }
}

TEST_F(RecordCheckTest, NamesThatDoNotFitAreNamed) {
  const std::vector<std::function<void(NamedRow*)>> damages = {
      [](NamedRow* row) { row->id = kNodeCount; },
      [this](NamedRow* row) { row->id = graph_.Id("app:v1"); },
      [](NamedRow* row) { row->key.kind = NodeKind::kLayer; },
      [](NamedRow* row) { row->key.kind = static_cast<NodeKind>(200); },
      [](NamedRow* row) { row->key.store = 77; },
      [](NamedRow* row) { row->place = 77; },
      [](NamedRow* row) { row->targets = {kNodeCount}; },
      [](NamedRow* row) {
        row->targets = {1, 2, 1};
      },
      [this](NamedRow* row) { row->key = graph_.named("app:v1").key; },
      [](NamedRow* row) { row->flags = kFlat; },
  };
  for (size_t i = 0; i < damages.size(); ++i) {
    NamedRow row = Named();
    damages[i](&row);
    EXPECT_THAT(check_.Check(row), StatusIs(absl::StatusCode::kDataLoss)) << i;
  }
}

TEST_F(RecordCheckTest, LinksThatDoNotFitAreNamed) {
  const std::vector<std::function<void(MembershipRow*)>> damages = {
      [](MembershipRow* row) { row->repository = kNodeCount; },
      [](MembershipRow* row) { row->repository = kNew; },
      [this](MembershipRow* row) { row->repository = graph_.Id("M1"); },
      [](MembershipRow* row) { row->content = kNodeCount; },
      [](MembershipRow* row) { row->content = kNew; },
      [this](MembershipRow* row) { row->content = graph_.Id("app:v1"); },
      [](MembershipRow* row) {
        row->kind = static_cast<store::MembershipKind>(3);
      },
  };
  for (size_t i = 0; i < damages.size(); ++i) {
    MembershipRow row = Membership();
    damages[i](&row);
    EXPECT_THAT(CheckLink(row), StatusIs(absl::StatusCode::kDataLoss)) << i;
  }
}

}  // namespace
}  // namespace reclaim::index
