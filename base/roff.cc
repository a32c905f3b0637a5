#include "base/roff.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"

namespace reclaim::base {
namespace {

// A hyphen is to be copied into a shell as the minus that it is; a line that
// begins with a dot or a quote would be a request.
std::string Escape(absl::string_view text) {
  std::string out = absl::StrReplaceAll(text, {{"\\", "\\e"}, {"-", "\\-"}});
  absl::StrReplaceAll({{"\n.", "\n\\&."}, {"\n'", "\n\\&'"}}, &out);
  if (!out.empty() && (out[0] == '.' || out[0] == '\'')) out.insert(0, "\\&");
  return out;
}

// An argument of a request, in quotes.
std::string Quote(absl::string_view text) {
  return absl::StrCat(
      "\"", absl::StrReplaceAll(Escape(text), {{"\"", "\\(dq"}}), "\"");
}

}  // namespace

RoffPage::RoffPage(absl::string_view name, int section,
                   absl::string_view summary) {
  absl::StrAppend(&text_, ".TH ", Quote(absl::AsciiStrToUpper(name)), " ",
                  section, " \"\" \"Reclaim\" \"Reclaim manual\"\n");
  Section("NAME");
  absl::StrAppend(&text_, Escape(name), " \\- ", Escape(summary), "\n");
}

void RoffPage::Section(absl::string_view heading) {
  absl::StrAppend(&text_, ".SH ", Quote(heading), "\n");
}

void RoffPage::Subsection(absl::string_view heading) {
  absl::StrAppend(&text_, ".SS ", Quote(heading), "\n");
}

void RoffPage::Paragraph(absl::string_view text) {
  absl::StrAppend(&text_, ".PP\n", Escape(text), "\n");
}

void RoffPage::Item(absl::string_view term, absl::string_view text) {
  absl::StrAppend(&text_, ".TP\n.B ", Quote(term), "\n",
                  text.empty() ? "\\&" : Escape(text), "\n");
}

void RoffPage::Verbatim(absl::string_view lines) {
  absl::StrAppend(&text_, ".PP\n.nf\n", Escape(lines), "\n.fi\n");
}

}  // namespace reclaim::base
