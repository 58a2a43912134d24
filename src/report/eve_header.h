// The keys that every EVE record begins with.
#pragma once

#include <string_view>

#include "report/eve.h"
#include "report/json.h"

namespace haka::report {

// All keys before the typed object.
void write_eve_header(JsonWriter& json, std::string_view event_type, const Where& where,
                      const EveOptions& options);

}  // namespace haka::report
