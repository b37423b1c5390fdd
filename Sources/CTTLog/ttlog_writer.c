#include "ttlog_writer.h"
