// SPDX-License-Identifier: GPL-2.0-or-later

@preconcurrency import Glibc
import RunDirectory

/// Something that takes time: the replay runs to a place.
struct Work {
    /// The name by which the client can cancel it.
    let name: String
    let title: String
    let start: Double
    /// The client's request that it belongs to.
    var owner: Int64?
    var isShown = false
    var nextReport: Double

    /// Whether a request to cancel means this.
    func isNamed(_ name: String?, _ request: Int64?) -> Bool {
        name == self.name || (request != nil && request == owner)
    }
}

extension Adapter {
    /// Seconds after which the client learns of something, and between two reports.
    private static let (patience, interval) = (1.0, 0.5)

    func beginWork(_ title: String) {
        if work != nil { endWork() }
        workCount += 1
        let now = Clock.now()
        work = Work(name: "work-\(workCount)", title: title, start: now, nextReport: now + Adapter.patience)
    }

    func endWork() {
        guard let work else { return }
        self.work = nil
        if work.isShown { report("progressEnd", .object(["progressId": .string(work.name)])) }
    }

    /// Reports how far the guest is, if it is time.
    func reportProgress() {
        guard client.hasProgress, var work, phase != .ended else { return }
        let now = Clock.now()
        guard now >= work.nextReport else { return }
        work.nextReport = now + Adapter.interval
        var body: [String: JSONValue] = ["progressId": .string(work.name)]
        if let (icount, end) = link?.progress {
            body["message"] = .string("instruction \(icount)")
            if let end, end > 0 { body["percentage"] = .integer(Int64(min(100, icount.multipliedPercent(of: end)))) }
        }
        if !work.isShown {
            work.isShown = true
            body["title"] = .string(work.title)
            body["cancellable"] = .bool(true)
            report("progressStart", .object(body))
        } else {
            report("progressUpdate", .object(body))
        }
        self.work = work
    }
}

extension UInt64 {
    /// This number in hundredths of a larger one that is not 0.
    fileprivate func multipliedPercent(of total: UInt64) -> UInt64 { UInt64(Double(self) / Double(total) * 100) }
}
