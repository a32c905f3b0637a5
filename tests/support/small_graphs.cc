#include "tests/support/small_graphs.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace reclaim::tests {

std::vector<std::string> SmallGraphs() {
  using Choice = std::vector<std::string>;
  const std::vector<Choice> choices = {
      Choice{"", "I1[]", "I1[M1]", "I1[M1 M2]"},
      Choice{"", "S1(s1)^M1", "S1(s1)^I1", "I1[M1]^M1"},
      Choice{"", "a:v1=M1", "a:v1=I1", "a:v1=M1; b:v1=M2; b:v2=M2"},
      Choice{"", "container/w=M1", "container/w=M2", "pin/p=I1", "flat/f=M1"},
      Choice{"", "!M1", "!l1", "?M2"},
      Choice{"", "+a=M1; +a~l1; +b=M1; +b~l1",
             "+b=I1; +b=M1; +b~l1; +b~c1; +c=M2"}};
  std::vector<std::string> graphs = {"M1(c1 l1:10); M2(c2 l1:10 l2)"};
  for (const Choice& choice : choices) {
    std::vector<std::string> longer;
    for (const std::string& graph : graphs) {
      for (const std::string& statement : choice) {
        longer.push_back(absl::StrCat(graph, "; ", statement));
      }
    }
    graphs = std::move(longer);
  }
  return graphs;
}

}  // namespace reclaim::tests
