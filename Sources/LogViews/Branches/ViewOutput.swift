// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// The destinations of a view's rows and of its notices.
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
