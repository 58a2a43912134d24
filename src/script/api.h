// The functions of haka_api: thin, never raising, each hands on to the worker's Host.
#pragma once

#include "script/abi.h"

namespace haka::script {

[[nodiscard]] const haka_api& api();

}  // namespace haka::script
