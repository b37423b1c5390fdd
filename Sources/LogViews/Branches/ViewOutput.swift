// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// Where a view writes its rows, and who receives what it finds besides them.
public struct ViewOutput {
    /// Receives the rows.
    public let sink: any TextSink
    /// Receives summaries and warnings.
    public let report: NoticeHandler

    /// Makes an output.
    public init(_ sink: any TextSink, report: @escaping NoticeHandler) {
        self.sink = sink
        self.report = report
    }
}
