// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting
import LogFormat

/// Identifies the log and the schema of an index. An index with another key is stale: it is rebuilt and never used.
///
/// The key covers the log's size, identity and chunk directory (``LogFile/contentDigest``) and the version of the
/// schema. Any program with the same schema makes the same index.
enum IndexKey {
    static func text(_ log: LogFile) -> String {
        let digits = String(log.contentDigest, radix: 16)
        return "\(IndexSchema.version)-" + String(repeating: "0", count: 16 - digits.count) + digits
    }
}
