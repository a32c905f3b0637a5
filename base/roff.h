// base/roff.h — a manual page, written in the language of man(7).
//
// Text is escaped here and nowhere else: what is handed over is plain.  Pure.

#ifndef RECLAIM_BASE_ROFF_H_
#define RECLAIM_BASE_ROFF_H_

#include <string>

#include "absl/strings/string_view.h"

namespace reclaim::base {

class RoffPage {
 public:
  // "reclaim-image", 1, "manage images": the title and the NAME section.
  RoffPage(absl::string_view name, int section, absl::string_view summary);

  // A heading, "OPTIONS".
  void Section(absl::string_view heading);
  // A smaller one below it, as it is written.
  void Subsection(absl::string_view heading);
  // Text that flows.
  void Paragraph(absl::string_view text);
  // A term in bold on its own line, and its text indented.
  void Item(absl::string_view term, absl::string_view text);
  // Lines as they are.
  void Verbatim(absl::string_view lines);

  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace reclaim::base

#endif  // RECLAIM_BASE_ROFF_H_
