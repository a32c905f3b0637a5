// gc/fair_shares.h — private to gc/eviction: every piece's bytes dealt out
// among its users as evenly as can be, and the bound that follows.
//
// Let the bytes of each piece be split among its users in any way, and share(i)
// be what candidate i gets.  A set frees a piece only if it holds all of its
// users, so what a set S frees is at most the sum of the shares in S; no set of
// k candidates frees more than the k largest shares together.  That is a bound
// for any split: weak duality of the linear program behind the min-cut.
//
// The split with the least sum of squares has the smallest k largest shares for
// every k at once (the lexicographically optimal base: Fujishige 1980; Dutta
// and Ray 1989), and its level sets are the optimal sets of the Lagrangian
// max(freed(S) − price·|S|) for every price: all the min-cuts of a parametric
// flow (Gallo, Grigoriadis and Tarjan 1989) in one pass of water-filling after
// the other, each of which makes the best of one piece (block coordinate
// descent).  It is stopped after a number of passes; the bound holds whenever
// it is stopped.  All arithmetic is in whole bytes.
//
// Pure.

#ifndef RECLAIM_GC_FAIR_SHARES_H_
#define RECLAIM_GC_FAIR_SHARES_H_

#include <cstdint>
#include <functional>
#include <vector>

#include "gc/eviction.h"

namespace reclaim::gc {

// By candidate; the sum is the bytes of all pieces that have users.
// REQUIRES: the bytes of all pieces together are less than 2^63.
// `yield`, if any, is called between the passes.
std::vector<uint64_t> FairShares(const EvictionProblem& problem,
                                 const std::function<void()>& yield = nullptr);

// The fewest candidates that can free `target_bytes`: the number of largest
// shares that add up to it.  All of them if they do not.
uint64_t LowerBoundCount(std::vector<uint64_t> shares, uint64_t target_bytes);

}  // namespace reclaim::gc

#endif  // RECLAIM_GC_FAIR_SHARES_H_
