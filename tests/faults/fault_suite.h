// tests/faults/fault_suite.h — what the test programs of faults share: the
// steps that they go through, the errors that they inject, and their main().

#ifndef RECLAIM_TESTS_FAULTS_FAULT_SUITE_H_
#define RECLAIM_TESTS_FAULTS_FAULT_SUITE_H_

#include <cerrno>
#include <string>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "store/types.h"
#include "tests/faults/fault_world.h"

namespace reclaim::gc {

// One step of a collection on one kind of store.
using FaultCase = std::tuple<store::StoreKind, FaultWorld::Step>;

// Every step on every kind of store that is a folder.
std::vector<FaultCase> FaultCases();

// "RegistryScan", for INSTANTIATE_TEST_SUITE_P.
std::string FaultCaseName(const ::testing::TestParamInfo<FaultCase>& info);

// What a system call of the store layer can answer (TRUST D.3, "I/O faults").
inline constexpr int kFaultErrors[] = {
    EIO,    ENOSPC, EDQUOT, EACCES, EPERM, EROFS,       ENOENT,
    ESTALE, EINTR,  EMFILE, EBUSY,  ELOOP, ENAMETOOLONG};
inline constexpr int kFaultErrorCount =
    sizeof(kFaultErrors) / sizeof(kFaultErrors[0]);

// In how many tests of this program something was lost; it is told to the gate.
int TellLost();

// Runs the tests and then `figures`, which prints what was tried (owned). Trees
// lie in memory where the kernel has it: thousands of them are made.
int RunFaultTests(int argc, char** argv, ::testing::Environment* figures);

}  // namespace reclaim::gc

#endif  // RECLAIM_TESTS_FAULTS_FAULT_SUITE_H_
