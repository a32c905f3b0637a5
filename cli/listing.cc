#include "cli/listing.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"

namespace reclaim::cli {
namespace {

constexpr size_t kCellWidthMin = 10;
constexpr size_t kPadding = 3;

// East Asian wide and full-width characters take two columns.
bool IsWide(uint32_t rune) {
  return (rune >= 0x1100 && rune <= 0x115f) ||
         (rune >= 0x2e80 && rune <= 0xa4cf) ||
         (rune >= 0xac00 && rune <= 0xd7a3) ||
         (rune >= 0xf900 && rune <= 0xfaff) ||
         (rune >= 0xfe30 && rune <= 0xfe6f) ||
         (rune >= 0xff00 && rune <= 0xff60) ||
         (rune >= 0x1f300 && rune <= 0x1faff) ||
         (rune >= 0x20000 && rune <= 0x3fffd);
}

// The rune at the front of `text` and its bytes; a byte that begins none is one
// of its own.
struct Rune {
  uint32_t value;
  size_t length;
};
Rune FrontOf(absl::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  if (length == 1 || length > text.size()) return {lead, 1};
  uint32_t value = lead & (0x7f >> length);
  for (size_t k = 1; k < length; ++k) {
    value = (value << 6) | (static_cast<unsigned char>(text[k]) & 0x3f);
  }
  return {value, length};
}

absl::Status NotUnderstood(absl::string_view part) {
  return absl::InvalidArgumentError(absl::StrCat(
      "--format: \"", part,
      "\" is not understood; there are {{.Field}}, {{json .}}, {{json "
      ".Field}}, \\t and \\n"));
}

// Names on a disk need not be UTF-8; JSON must be.
std::string Dump(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

std::string Json(const Row& row) { return Dump(row); }

// Bytes of the character at the front of `text`; 0 if it is a control character
// (C0, DEL, C1) or no UTF-8.
size_t PrintableBytes(absl::string_view text) {
  const auto byte = [&](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return lead < 0x20 || lead == 0x7f ? 0 : 1;
  const size_t length = lead < 0xc2   ? 0
                        : lead < 0xe0 ? 2
                        : lead < 0xf0 ? 3
                        : lead < 0xf5 ? 4
                                      : 0;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  const unsigned second = byte(1);
  const bool is_control = lead == 0xc2 && second < 0xa0;
  const bool is_overlong =
      (lead == 0xe0 && second < 0xa0) || (lead == 0xf0 && second < 0x90);
  const bool is_no_character =
      (lead == 0xed && second >= 0xa0) || (lead == 0xf4 && second >= 0x90);
  return is_control || is_overlong || is_no_character ? 0 : length;
}

// One {{...}} for one row.
absl::StatusOr<std::string> Evaluate(absl::string_view expression,
                                     const Row& row) {
  absl::string_view inner = absl::StripAsciiWhitespace(expression);
  const bool is_json = absl::ConsumePrefix(&inner, "json ");
  inner = absl::StripAsciiWhitespace(inner);
  if (!absl::ConsumePrefix(&inner, ".")) return NotUnderstood(expression);
  if (inner.empty()) {
    if (is_json) return Json(row);
    return NotUnderstood(expression);
  }
  const auto it = row.find(std::string(inner));
  if (it == row.end()) {
    return absl::InvalidArgumentError(
        absl::StrCat("--format: there is no field \"", inner, "\""));
  }
  return is_json ? Dump(it->second) : it->second;
}

absl::StatusOr<std::string> Expand(const std::string& text, const Row& row) {
  std::string out;
  size_t at = 0;
  for (;;) {
    const size_t open = text.find("{{", at);
    out += text.substr(at, open - at);
    if (open == std::string::npos) return out;
    const size_t close = text.find("}}", open);
    if (close == std::string::npos) return NotUnderstood(text.substr(open));
    RECLAIM_ASSIGN_OR_RETURN(
        const std::string value,
        Evaluate(text.substr(open + 2, close - open - 2), row));
    out += value;
    at = close + 2;
  }
}

}  // namespace

size_t DisplayWidth(absl::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Rune rune = FrontOf(text);
    width += IsWide(rune.value) ? 2 : 1;
    text.remove_prefix(rune.length);
  }
  return width;
}

std::string Ellipsis(absl::string_view text, size_t width) {
  if (DisplayWidth(text) <= width) return std::string(text);
  std::string out;
  size_t used = 1;  // the "…"
  while (!text.empty()) {
    const Rune rune = FrontOf(text);
    used += IsWide(rune.value) ? 2 : 1;
    if (used > width) break;
    absl::StrAppend(&out, text.substr(0, rune.length));
    text.remove_prefix(rune.length);
  }
  return out + "…";
}

std::string Safe(absl::string_view text) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  while (!text.empty()) {
    const size_t length = PrintableBytes(text);
    if (length == 0) {
      const auto byte = static_cast<unsigned char>(text[0]);
      out += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    } else {
      out.append(text.data(), length);
    }
    text.remove_prefix(std::max<size_t>(length, 1));
  }
  return out;
}

std::string Tabulate(const std::vector<std::vector<std::string>>& lines) {
  std::vector<size_t> widths;
  for (const auto& line : lines) {
    for (size_t i = 0; i + 1 < line.size(); ++i) {
      if (widths.size() <= i) widths.push_back(kCellWidthMin);
      widths[i] = std::max(widths[i], DisplayWidth(line[i]) + kPadding);
    }
  }
  std::string out;
  for (const auto& line : lines) {
    for (size_t i = 0; i < line.size(); ++i) {
      out += line[i];
      if (i + 1 < line.size())
        out.append(widths[i] - DisplayWidth(line[i]), ' ');
    }
    out += '\n';
  }
  return out;
}

std::string Listing::HeaderOf(const std::string& field) const {
  for (const Column& column : columns_) {
    if (column.field == field) return column.header;
  }
  return absl::AsciiStrToUpper(field);
}

absl::Status Listing::Print(absl::string_view format, std::ostream* out) const {
  if (format == "json") {
    for (const Row& row : rows_) *out << Json(row) << '\n';
    return absl::OkStatus();
  }
  std::vector<std::vector<std::string>> lines;
  const bool is_plain = format.empty() || format == "table";
  if (is_plain) {
    lines.emplace_back();
    for (const Column& column : columns_) {
      lines.back().push_back(column.header);
    }
    for (const Row& row : rows_) {
      lines.emplace_back();
      for (const Column& column : columns_) {
        const auto it = row.find(column.field);
        lines.back().push_back(it == row.end() ? "" : Safe(it->second));
      }
    }
    *out << Tabulate(lines);
    return absl::OkStatus();
  }
  const bool is_table = absl::ConsumePrefix(&format, "table ");
  const std::string text =
      absl::StrReplaceAll(format, {{"\\t", "\t"}, {"\\n", "\n"}});
  std::vector<Row> all = rows_;
  if (is_table) {
    Row header;
    for (const Column& column : columns_) {
      header[column.field] = column.header;
    }
    for (const Row& row : rows_) {
      for (const auto& [field, value] : row) header[field] = HeaderOf(field);
    }
    all.insert(all.begin(), header);
  }
  for (Row row : all) {
    for (auto& [field, value] : row) value = Safe(value);
    RECLAIM_ASSIGN_OR_RETURN(const std::string line, Expand(text, row));
    if (is_table) {
      lines.push_back(absl::StrSplit(line, '\t'));
    } else {
      *out << line << '\n';
    }
  }
  if (is_table) *out << Tabulate(lines);
  return absl::OkStatus();
}

}  // namespace reclaim::cli
