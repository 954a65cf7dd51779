// The socket options Node does not offer, by name, from one closed table.
// Values are integers in the unit the name carries; flags are 0 and 1.
#pragma once

#include <string_view>
#include <vector>

#include "core/result.h"

namespace reactor_net {

/** False for a name that is not in the table. */
bool IsSocketOption(std::string_view name);
std::vector<std::string_view> SocketOptionNames();

/** `name` has to be in the table (EINVAL otherwise). For `lingerSeconds`, -1 switches lingering off. */
Failure SetSocketOption(int fd, std::string_view name, int value);

/** What the kernel made of the value: it doubles buffer sizes and rounds `deferAcceptSeconds`. */
Result<int> GetSocketOption(int fd, std::string_view name);

}  // namespace reactor_net
