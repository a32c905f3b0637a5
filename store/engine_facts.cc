#include "store/engine_facts.h"

namespace reclaim::store {

const char* ToString(ContainerState state) {
  switch (state) {
    case ContainerState::kUnknown:
      return "unknown";
    case ContainerState::kCreated:
      return "created";
    case ContainerState::kRunning:
      return "running";
    case ContainerState::kPaused:
      return "paused";
    case ContainerState::kRestarting:
      return "restarting";
    case ContainerState::kExited:
      return "exited";
    case ContainerState::kDead:
      return "dead";
    case ContainerState::kRemoving:
      return "removing";
  }
  return "unknown";
}

}  // namespace reclaim::store
