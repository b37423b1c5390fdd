// SPDX-License-Identifier: GPL-2.0-or-later

import CallTree
import LogFormat

/// The calls, interruptions and system calls of each vCPU, in the order in which they end; open ones last.
final class CallSource: TableSource<CallRow> {
    private let log: OpenLog
    private let request: StreamRequest
    private var chunks: RequestedChunks
    private let batch: UnsafeMutablePointer<BranchBatch>
    private let tracker: UnsafeMutablePointer<CallTracker>
    private var calls: OpenCallRows?

    init(_ log: OpenLog, _ request: StreamRequest) throws(RequestError) {
        self.log = log
        self.request = request
        chunks = RequestedChunks(.branch, of: log, request)
        let hasIcount = log.file.header.features.contains(.icount)
        let columns = try request.choose(CallRow.columns(hasIcount: hasIcount)) { $0.definition.name }
        batch = .allocate(capacity: 1)
        batch.initialize(to: BranchBatch())
        tracker = .allocate(capacity: 1)
        tracker.initialize(to: CallTracker())
        super.init(columns)
    }

    deinit {
        batch.deinitialize(count: 1)
        batch.deallocate()
        tracker.deinitialize(count: 1)
        tracker.deallocate()
    }

    override func produce() throws -> Bool {
        let found = try chunks.next { chunk throws(LogError) in
            if calls?.vcpu != chunk.vcpu { beginVCPU(chunk.vcpu) }
            try log.file.decode(chunk, into: &batch.pointee)
        }
        guard found != nil else {
            finishVCPU()
            try chunks.checkEnd()
            return false
        }
        tracker.pointee.append(batch.pointee, batch.pointee.range(from: request.from, to: request.to))
        for step in tracker.pointee.steps { calls?.take(step) }
        for row in calls?.takeFinal() ?? [] { append(row) }
        return true
    }

    private func beginVCPU(_ vcpu: UInt16) {
        finishVCPU()
        tracker.pointee = CallTracker(handlers: HandlerSet(log.file, vcpu: vcpu))
        tracker.pointee.recordsSteps = true
        calls = OpenCallRows(vcpu: vcpu)
    }

    private func finishVCPU() {
        for row in calls?.takeAll() ?? [] { append(row) }
        calls = nil
    }
}

/// A call, interruption or system call.
struct CallRow {
    var vcpu: UInt16
    var stack: UInt32
    var depth: UInt32
    var frame: CallFrame
    /// The code that runs in it: the target, or where a jump from it went.
    var function: UInt64
    /// The branch that ended it; nil for an open call, and if the log does not show it.
    var end: (clock: UInt64, icount: UInt64)?
    /// How it ended; nil for an open call.
    var ending: String?
    /// Whether the log shows its beginning. Other rows are not handed out.
    var isKnown = true

    static func columns(hasIcount: Bool) -> [TableColumn<CallRow>] {
        [
            .init(.init("vcpu", .int32, "the vCPU")) { $1.append(Int64($0.vcpu)) },
            .init(.init("stack", "number of the guest's stack")) { $1.append(Int64($0.stack)) },
            .init(.init("depth", "calls that were open on the stack before")) { $1.append(Int64($0.depth)) },
            .init(.init("kind", .text, "call, interruption, system-call, software-interrupt or start")) {
                $1.append($0.frame.kind.name)
            },
            .init(.init("call_site", isCode: true, "address of the instruction that called or was interrupted")) {
                $1.append($0.frame.callSite)
            },
            .init(.init("target", isCode: true, "address that was called")) { $1.append($0.frame.target) },
            .init(
                .init(
                    "function", isCode: true,
                    "address of the code that ran last in it: the target, or that of a tail call")
            ) {
                $1.append($0.function)
            },
            .init(.init("begin_brctr", unit: "transitions", "clock of the branch that began it")) {
                $1.append($0.frame.clock)
            },
            .init(.init("end_brctr", unit: "transitions", "clock of the branch that ended it; null while it is open")) {
                $1.append($0.end?.clock)
            },
            .init(.init("begin_icount", unit: "instructions", "instructions begun before its first")) {
                $1.append(hasIcount ? $0.frame.icount : nil)
            },
            .init(.init("end_icount", unit: "instructions", "instructions begun before the first after it")) {
                $1.append(hasIcount ? $0.end?.icount : nil)
            },
            .init(.init("ending", .text, "returned, or why the tracker had to guess; null while it is open")) {
                $1.append($0.ending)
            },
        ]
    }
}
