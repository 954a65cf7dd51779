// transport/slot_table: a number comes back only after a flush and a poll, and with a new generation.
#include "transport/slot_table.h"

#include "check.h"

using namespace reactor_net;

namespace {

void NumbersComeBackLate() {
  SlotTable slots(2);
  const uint32_t first = slots.Take();
  const uint32_t second = slots.Take();
  CHECK(first != second && slots.Take() == kNone);
  const uint32_t generation = slots[first].generation;
  slots.GiveBack(first);
  CHECK(slots[first].generation != generation);
  slots.BeforePoll();
  CHECK(slots.Take() == kNone);  // output for it may still wait to be flushed
  slots.AfterFlush();
  CHECK(slots.Take() == kNone);  // the batch may still name it
  slots.BeforePoll();
  CHECK(slots.Take() == first);
}

void SlotsStayInPlace() {
  SlotTable slots(10'000);
  Slot* first = &slots[slots.Take()];
  for (int i = 1; i < 10'000; i++) slots.Take();
  CHECK(first == &slots[0]);
  CHECK(slots.Find(9'999) != nullptr && slots.Find(10'000) == nullptr && slots.Find(kNone) == nullptr);
}

void ASlotIsSmall() { CHECK(sizeof(Slot) <= 128); }

}  // namespace

int main() {
  Run("a number is used again only after a flush and the begin of a poll", NumbersComeBackLate);
  Run("slots do not move when the table grows", SlotsStayInPlace);
  Run("an idle connection costs at most 128 bytes here", ASlotIsSmall);
}
