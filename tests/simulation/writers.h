// tests/simulation/writers.h — writers as sequences of steps.
//
// A writer does one step at a time, in the order in which distribution 2.8
// handles requests (docs/decisions/0007-the-race.md).  What it was promised in
// the end must hold.

#ifndef RECLAIM_TESTS_SIMULATION_WRITERS_H_
#define RECLAIM_TESTS_SIMULATION_WRITERS_H_

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "index/reference_graph.h"
#include "oci/digest.h"
#include "tests/simulation/model_registry.h"

namespace reclaim::simulation {

enum class WriterKind {
  kNone,
  // A client of the registry that is told "it is there" of all blobs, and puts
  // its manifest.
  kPuts,
  // The same, but uploads the layer first: the registry keeps the file that it
  // has, and writes the link.
  kUploads,
  // An orchestrator: asks over the API, writes its manifest, records it.
  kRecords,
  // Whoever pulls the tag "live", of which the registry tells: a use, and no
  // word of what the tag names.
  kPulls,
};

struct Image {
  std::string tag;
  std::string manifest;  // bytes
  std::vector<oci::Digest> blobs;
  std::string layer;  // bytes of the blob that kUploads sends
};

// How a registry answers.
struct RegistryTerms {
  // From a descriptor cache, which holds all that was there at the beginning.
  bool remembers = false;
  // A look at the blobs of a manifest takes a step for each link and for each
  // file; else one step for all of them.
  bool looks_in_steps = false;
};

class Writer {
 public:
  // `disk` is not owned.
  Writer(WriterKind kind, Image image, const RegistryTerms& registry,
         Disk* disk);

  // All that decides what it will do.
  struct Progress {
    int step = 0;
    int looked_count = 0;  // links and files
    bool has_looked = false;
    bool has_manifest = false;  // kRecords was told so
    bool is_refused = false;
    bool is_accepted = false;
  };

  bool IsDone() const { return at_.is_refused || at_.is_accepted; }
  bool is_accepted() const { return at_.is_accepted; }
  bool is_refused() const { return at_.is_refused; }
  // Between its look and its last link: the time that write_duration_max
  // bounds.
  bool IsInWindow() const { return at_.has_looked && !IsDone(); }
  // Whether its next step calls the daemon.
  bool CallsDaemon() const;
  bool IsPull() const { return kind_ == WriterKind::kPulls; }
  // What its next step reads and changes of the disk, and all that are left.
  std::vector<Access> NextAccesses() const;
  std::vector<Access> LaterAccesses() const;
  // One step at the time `now`.  `graph` is the daemon's.
  void Step(absl::Time now, index::ReferenceGraph* graph);

  // To look at what its next step would do, and take it back.
  const Progress& progress() const { return at_; }
  void set_progress(const Progress& progress) { at_ = progress; }
  std::string ToText() const;
  // What is missing of what it was promised; "" if nothing is.
  std::string Missing() const;

 private:
  // In the order of distribution's handlers; kPuts begins with the look.
  enum Stage { kPutBlob, kPutLink, kLook, kManifest, kRevision, kTag, kEnd };
  Stage StageOf(int step) const;
  void AddAccesses(Stage stage, std::vector<Access>* out) const;
  void Look();
  void LookAt(int number);
  int LookCount() const { return 2 * static_cast<int>(image_.blobs.size()); }
  void WriteManifest(absl::Time now);
  void Ask(index::ReferenceGraph* graph);
  void Record(index::ReferenceGraph* graph);
  void Pull(absl::Time now, index::ReferenceGraph* graph);

  const WriterKind kind_;
  const Image image_;
  const oci::Digest digest_;
  const RegistryTerms registry_;
  Disk& disk_;
  const bool is_manifest_remembered_;
  Progress at_;
};

}  // namespace reclaim::simulation

#endif  // RECLAIM_TESTS_SIMULATION_WRITERS_H_
