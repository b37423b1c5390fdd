// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// What an index was made from. An index with another key is stale: it is made anew, and never used.
///
/// The key covers the log's size, identity and chunk directory (``LogFile/contentDigest``) and the version of the
/// schema. Which program made the index does not matter as long as the schema is the same.
enum IndexKey {
    static func text(_ log: LogFile) -> String {
        let digits = String(log.contentDigest, radix: 16)
        return "\(IndexSchema.version)-" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}
