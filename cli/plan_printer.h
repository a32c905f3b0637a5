// cli/plan_printer.h — plans and what became of them, for a person.

#ifndef RECLAIM_CLI_PLAN_PRINTER_H_
#define RECLAIM_CLI_PLAN_PRINTER_H_

#include <functional>
#include <ostream>
#include <string>

#include "cli/prune_flags.h"
#include "cli/session.h"
#include "reclaim/v1/collection.pb.h"

namespace reclaim::cli {

// Totals and items with their reasons; the first 50 unless flags.all_items.
// With a format the items alone.
int PrintPlan(Session* session, const v1::Plan& plan, const PruneFlags& flags);

// The filters as the daemon understood them, with the instants that it made of
// their times; nothing where there are none.
void SayFilters(const v1::Plan& plan, std::ostream* out);

// What stays with the build cache; nothing where nothing does.
void SayCached(const v1::Plan& plan, std::ostream* out);

// What comes of a plan's target; nothing where it has none.
void SayTarget(const v1::Plan& plan, std::ostream* out);

// Warnings for scopes that are not collected.
void SayKept(Session* session, const v1::Plan& plan);

// Applies, follows, and prints as Docker does: what went, and last "Total
// reclaimed space: X".
int ApplyAndReport(Session* session, const v1::Plan& plan,
                   const PruneFlags& flags);

// Calls `visit` for every item of a plan until it returns false.
int ForEachItem(Session* session, const std::string& plan_id,
                const std::function<bool(const v1::PlanItem&)>& visit);

// "app:v1", a digest, a name.
std::string NameOf(const v1::PlanItem& item);
// A repository's link to content, of which Docker tells nothing.
bool IsLink(const v1::PlanItem& item);

}  // namespace reclaim::cli

#endif  // RECLAIM_CLI_PLAN_PRINTER_H_
