// cli/listing.h — rows as a table, as JSON lines or by a template.
//
// Tables are padded as Docker's are (Go's text/tabwriter: at least 10 columns,
// 3 blanks between cells, the last column not padded).  Templates are the
// subset {{.Field}}, {{json .}}, {{json .Field}}, \t and \n; anything else is
// an error that names the subset.  Names that come from elsewhere are printed
// without control characters.

#ifndef RECLAIM_CLI_LISTING_H_
#define RECLAIM_CLI_LISTING_H_

#include <map>
#include <ostream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace reclaim::cli {

struct Column {
  std::string header;  // "IMAGE ID"
  std::string field;   // "ID"
};

using Row = std::map<std::string, std::string>;  // by field

class Listing {
 public:
  explicit Listing(std::vector<Column> columns)
      : columns_(std::move(columns)) {}
  void Add(Row row) { rows_.push_back(std::move(row)); }
  size_t size() const { return rows_.size(); }
  const std::vector<Row>& rows() const { return rows_; }

  // `format`: "" or "table", "json", "table TEMPLATE" or TEMPLATE.
  absl::Status Print(absl::string_view format, std::ostream* out) const;

 private:
  std::string HeaderOf(const std::string& field) const;

  std::vector<Column> columns_;
  std::vector<Row> rows_;
};

// Help of every --format.
inline constexpr char kFormatHelp[] =
    "table, json, TEMPLATE such as {{.ID}}, or \"table TEMPLATE\"";

// Columns that a terminal needs: East Asian wide characters take two.
size_t DisplayWidth(absl::string_view text);

// Cut to `width` columns, the last of them "…", if it is wider.
std::string Ellipsis(absl::string_view text, size_t width);

// Cells of one line, as Docker pads them; lines end with '\n'.
std::string Tabulate(const std::vector<std::vector<std::string>>& lines);

// Printable: control characters as \x1b, invalid UTF-8 as escapes.
std::string Safe(absl::string_view text);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_LISTING_H_
