// health: whether the daemon serves, for exec probes.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cli/commands.h"
#include "grpcpp/completion_queue.h"
#include "grpcpp/generic/generic_stub.h"
#include "grpcpp/support/byte_buffer.h"
#include "grpcpp/support/slice.h"

namespace reclaim::cli {
namespace {

constexpr char kMethod[] = "/grpc.health.v1.Health/Check";
// HealthCheckResponse{status: SERVING}: field 1, a varint of 1.
constexpr char kServing[] = "\x08\x01";

std::string BytesOf(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  // What can't be read is empty, which is not SERVING.
  if (!buffer.Dump(&slices).ok()) return "";
  std::string bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// Two bytes of a standard message need no generated code.
grpc::Status Ask(Session* session, std::chrono::seconds patience,
                 bool* is_serving) {
  grpc::GenericStub stub(session->channel());
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + patience);
  grpc::CompletionQueue queue;
  const grpc::Slice nothing;
  const grpc::ByteBuffer request(&nothing, 1);
  grpc::ByteBuffer response;
  grpc::Status status;
  const auto call = stub.PrepareUnaryCall(&context, kMethod, request, &queue);
  call->StartCall();
  call->Finish(&response, &status, nullptr);
  void* tag = nullptr;
  bool is_ok = false;
  if (!queue.Next(&tag, &is_ok) || !is_ok) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "the call was lost");
  }
  if (status.ok()) *is_serving = BytesOf(response) == kServing;
  return status;
}

int Health(Session* session, int seconds) {
  bool is_serving = false;
  const int code =
      session->Check(Ask(session, std::chrono::seconds(seconds), &is_serving));
  if (code != kDone) return code;
  if (session->json) {
    session->out() << "{\"is_serving\":" << (is_serving ? "true" : "false")
                   << ",\"message_type\":\"health\",\"schema_version\":1}\n";
  } else if (!session->quiet) {
    session->out() << (is_serving ? "SERVING" : "NOT_SERVING") << '\n';
  }
  return is_serving ? kDone : kFailed;
}

}  // namespace

void AddHealthCommand(Parser* app, Session* session) {
  Parser* health = app->AddCommand(
      "health", "Whether the daemon serves: exit code 0 or 1, for probes");
  auto seconds = std::make_shared<int>(5);
  health->AddOption("--timeout", *seconds, "Seconds to wait for an answer")
      ->Between(1, 600)
      ->ShowDefault();
  health->OnChosen([session, seconds] {
    session->chosen = [session, seconds] { return Health(session, *seconds); };
  });
}

}  // namespace reclaim::cli
