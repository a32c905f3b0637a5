#include "cli/image_tree.h"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "cli/listing.h"
#include "cli/typed_json.h"
#include "cli/units.h"
#include "cli/usage_details.h"
#include "reclaim/v1/usage.grpc.pb.h"

namespace reclaim::cli {
namespace {

using Lines = std::vector<std::vector<std::string>>;

constexpr size_t kGap = 3;

bool IsSize(size_t column) { return column == 2 || column == 3; }

std::vector<std::string> ImageLine(const v1::Image& image) {
  const std::string name = image.references().empty()
                               ? "<untagged>"
                               : absl::StrJoin(image.references(), ", ");
  return {
      Safe(name), ImageId(image, /*whole=*/false),
      HumanSize(image.size().logical_bytes() + image.unpacked().logical_bytes(),
                3),
      HumanSize(image.size().logical_bytes(), 3),
      image.container_count() > 0 ? "U" : ""};
}

// Bytes of the manifest at `at` of the tree and of all that it consists of,
// each once; unset if not all of that is in the tree.
std::optional<uint64_t> SizeOf(const v1::GetTreeResponse& tree, int at) {
  const v1::TreeNode& top = tree.nodes(at);
  if (top.node().state() != v1::NODE_STATE_PRESENT || tree.is_truncated() ||
      top.is_repeated()) {
    return std::nullopt;
  }
  std::set<std::string> seen = {top.node().digest()};
  uint64_t size = top.node().bytes().logical_bytes();
  for (int i = at + 1;
       i < tree.nodes_size() && tree.nodes(i).depth() > top.depth(); ++i) {
    const v1::TreeNode& part = tree.nodes(i);
    if (part.role() == "referrer") {
      // A referrer goes with it and is no part of it, nor is what it consists
      // of.
      while (i + 1 < tree.nodes_size() &&
             tree.nodes(i + 1).depth() > part.depth()) {
        ++i;
      }
      continue;
    }
    const bool is_part = part.role() == "manifest" || part.role() == "config" ||
                         part.role() == "layer" || part.role() == "blob";
    const bool is_here = part.node().state() == v1::NODE_STATE_PRESENT;
    if (is_part && is_here && seen.insert(part.node().digest()).second) {
      size += part.node().bytes().logical_bytes();
    }
  }
  return size;
}

// The manifests that an image index lists, one line each.
int AddPlatforms(Session* session, const v1::Image& image, Lines* lines) {
  v1::GetTreeRequest request;
  request.set_store(image.store());
  request.set_reference(image.digest());
  v1::GetTreeResponse tree;
  const auto stub = v1::UsageService::NewStub(session->channel());
  const int code = session->Ask(&v1::UsageService::Stub::GetTree, stub.get(),
                                request, &tree);
  if (code != kDone) return code;
  std::vector<int> children;
  for (int i = 0; i < tree.nodes_size(); ++i) {
    if (tree.nodes(i).depth() == 1 && tree.nodes(i).role() == "manifest") {
      children.push_back(i);
    }
  }
  for (const int at : children) {
    const v1::TreeNode& child = tree.nodes(at);
    if (session->json) {
      session->out() << JsonLine("image_tree_node", child) << '\n';
      continue;
    }
    const std::optional<uint64_t> bytes = SizeOf(tree, at);
    const std::string size = bytes ? HumanSize(*bytes, 3) : "N/A";
    lines->push_back(
        {absl::StrCat(
             at == children.back() ? "└─ " : "├─ ",
             child.platform().empty() ? "unknown" : Safe(child.platform())),
         ShortId(child.node().digest()), size, size, ""});
  }
  return kDone;
}

}  // namespace

std::string AlignTree(const Lines& lines) {
  std::vector<size_t> widths;
  for (const auto& line : lines) {
    widths.resize(std::max(widths.size(), line.size()));
    for (size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], DisplayWidth(line[i]));
    }
  }
  std::string out;
  for (const auto& line : lines) {
    std::string text;
    for (size_t i = 0; i < line.size(); ++i) {
      const std::string blanks(widths[i] - DisplayWidth(line[i]), ' ');
      if (i > 0) text.append(kGap, ' ');
      text += IsSize(i) ? blanks + line[i] : line[i] + blanks;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    absl::StrAppend(&out, text, "\n");
  }
  return out;
}

int PrintImageTree(Session* session, const v1::ListImagesRequest& request) {
  std::vector<v1::Image> images;
  int code = ForEachImage(session, request, [&](const v1::Image& image) {
    images.push_back(image);
  });
  Lines lines = {{"IMAGE", "ID", "DISK USAGE", "CONTENT SIZE", "EXTRA"}};
  for (const v1::Image& image : images) {
    if (code != kDone) return code;
    if (session->json) {
      session->out() << JsonLine("image", image) << '\n';
    } else {
      lines.push_back(ImageLine(image));
    }
    if (image.is_image_index()) code = AddPlatforms(session, image, &lines);
  }
  if (code == kDone && !session->json) session->out() << AlignTree(lines);
  return code;
}

}  // namespace reclaim::cli
