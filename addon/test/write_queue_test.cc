// transport/write_queue: bytes leave in the order they came, and an empty queue holds no memory.
#include "transport/write_queue.h"

#include <fcntl.h>

#include <random>
#include <string>

#include "check.h"

using namespace reactor_net;

namespace {

std::string Front(const WriteQueue& queue, int vectors_max) {
  iovec vectors[8];
  const int count = queue.Gather(vectors, vectors_max);
  std::string text;
  for (int i = 0; i < count; i++) text.append(static_cast<char*>(vectors[i].iov_base), vectors[i].iov_len);
  return text;
}

void Append(WriteQueue& queue, const std::string& text) {
  CHECK(queue.Append(reinterpret_cast<const uint8_t*>(text.data()), text.size()));
}

void BytesLeaveInOrder() {
  WriteQueue queue;
  std::string expected;
  std::mt19937 random(7);
  for (int step = 0; step < 5000; step++) {
    if (random() % 2 == 0) {
      const std::string text(random() % 3000, static_cast<char>('a' + step % 26));
      Append(queue, text);
      expected += text;
    } else {
      const std::string front = Front(queue, 8);
      CHECK(expected.compare(0, front.size(), front) == 0);
      const size_t taken = front.empty() ? 0 : random() % (front.size() + 1);
      queue.Consume(taken);
      expected.erase(0, taken);
    }
    CHECK(queue.bytes() == expected.size());
    CHECK(queue.empty() == expected.empty());
  }
}

void LargeOutputIsSplit() {
  WriteQueue queue;
  const std::string text(1'000'000, 'x');
  Append(queue, text);
  CHECK(Front(queue, 1).size() < text.size());
  CHECK(Front(queue, 8) == text);
  queue.Consume(text.size());
  CHECK(queue.empty() && Front(queue, 8).empty());
}

void ClearDropsEverything() {
  WriteQueue queue;
  Append(queue, std::string(100'000, 'x'));
  queue.Clear();
  CHECK(queue.empty());
  Append(queue, "abc");
  CHECK(Front(queue, 8) == "abc");
}

void FilesWaitTheirTurn() {
  WriteQueue queue;
  const int file = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int other = open("/dev/null", O_RDONLY | O_CLOEXEC);
  Append(queue, "before");
  CHECK(queue.AppendFile({file, 5, 100}) && queue.AppendFile({other, 0, 1}));
  Append(queue, "behind");
  CHECK(queue.bytes() == 12 && queue.files() == 2);
  CHECK(Front(queue, 8) == "before" && queue.FrontFile() == nullptr);
  queue.Consume(6);
  CHECK(Front(queue, 8).empty() && queue.FrontFile()->fd == file);
  queue.ConsumeFile(60);
  CHECK(queue.FrontFile()->offset == 65 && queue.FrontFile()->bytes == 40);
  CHECK(fcntl(file, F_GETFD) >= 0);
  queue.ConsumeFile(40);
  CHECK(queue.FrontFile()->fd == other && fcntl(file, F_GETFD) < 0);
  queue.Clear();
  CHECK(queue.empty() && queue.files() == 0 && fcntl(other, F_GETFD) < 0);
}

}  // namespace

int main() {
  Run("bytes leave in the order they came, in any portions", BytesLeaveInOrder);
  Run("a large output is held in several chunks", LargeOutputIsSplit);
  Run("a cleared queue starts again", ClearDropsEverything);
  Run("files wait between bytes and are closed when they are done or dropped", FilesWaitTheirTurn);
}
