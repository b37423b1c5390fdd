// SPDX-License-Identifier: GPL-2.0-or-later

import Alignment
import ArgumentParser
import LogFormat
import ReplaySession
import Reporting
import RunDirectory
import ToolSupport
import Zoom

/// The options of `diverge --zoom`.
struct ZoomOptions: ParsableArguments {
    @Flag(
        help: """
            Run both sides again, up to the divergence, and explain it down to the instruction that read or made the \
            first different value (docs/zoom.md).
            """)
    var zoom = false

    @Option(help: ArgumentHelp("End the zoom after this time, with what it has: 60s, 2m.", valueName: "time"))
    var budget: String?

    @Option(
        help: ArgumentHelp("Number of instructions to log before the divergence.", valueName: "n"))
    var zoomWindow = 1 << 20

    @Option(
        help: ArgumentHelp(
            "QEMU's program for the zoom. (default: an installed one of the recording's version)", valueName: "file"),
        completion: .file())
    var qemu: String?

    @Flag(
        help: """
            For the zoom, the recording is your own: run the QEMU that its manifest names, with any argument in it.
            """)
    var trust = false

    func validate() throws {
        guard zoom || (budget == nil && qemu == nil && !trust) else {
            throw ValidationError("--budget, --qemu and --trust need --zoom.")
        }
        guard (256...1 << 26).contains(zoomWindow) else {
            throw ValidationError("--zoom-window takes 256 to 67108864.")
        }
        _ = try seconds()
    }

    /// The budget in seconds.
    private func seconds() throws -> Double? {
        guard let budget else { return nil }
        let scale: Double = budget.hasSuffix("m") ? 60 : 1
        let digits = budget.hasSuffix("m") || budget.hasSuffix("s") ? budget.dropLast() : Substring(budget)
        guard let number = Double(digits), number > 0, number < 1e6 else {
            throw ValidationError("--budget takes a time such as 60s or 2m.")
        }
        return number * scale
    }

    /// Runs both sides again.
    func explain(
        _ alignment: AlignmentResult, _ original: ReportedRun, _ replay: ReportedRun,
        _ paths: (original: String, replay: String)
    ) throws -> ZoomResult {
        var options = ZoomSession.Options()
        options.budget = try seconds()
        options.side.windowInstructions = zoomWindow
        options.side.program = qemu
        options.side.trustsManifest = trust
        options.kernels.original = original.symbolizer.flatMap(GuestKernel.find)
        options.kernels.replay =
            replay.symbolizer === original.symbolizer
            ? options.kernels.original : replay.symbolizer.flatMap(GuestKernel.find)
        let zoom = ZoomSession(
            original: ZoomOptions.run(paths.original, paths.replay),
            replay: ZoomOptions.run(paths.replay, paths.original), options: options, progress: ZoomProgress().update)
        return zoom.explain(ZoomOptions.place(alignment, original.log, replay.log))
    }

    private static func run(_ path: String, _ other: String) -> Result<RepeatableRun, RunError> {
        do throws(RunError) {
            return .success(try RepeatableRun(path, comparedWith: other))
        } catch {
            return .failure(error)
        }
    }

    /// What is to be explained.
    private static func place(_ alignment: AlignmentResult, _ log: LogFile, _ other: LogFile) -> ZoomSession.Place {
        guard let divergence = alignment.divergence else { return .anywhere }
        let context = divergence.context
        let branches = [context.original.nextBranches.first?.icount, context.replay.nextBranches.first?.icount]
        let positions = [divergence.original.icount.map { $0 &+ 1 }, divergence.replay.icount.map { $0 &+ 1 }]
        // The position of a branch is that of the branch before it.
        let isBranch = divergence.difference?.stream == .branch && branches.contains { $0 != nil }
        let icount = (isBranch ? branches : branches + positions).compactMap { $0 }.min() ?? 0
        if let difference = divergence.difference, !difference.isExact, difference.stream == .branch,
            let cell = cell(of: difference, divergence.vcpu, log)
        {
            return .cell(cell)
        }
        guard divergence.verdict == .state else {
            return .path(
                icount: icount, original: landmarks(context.lastBranches + context.original.nextBranches),
                replay: landmarks(context.lastBranches + context.replay.nextBranches))
        }
        // A digest covers the cell before it.
        let clock = divergence.original.clock
        let before = log.chunks(.branch, vcpu: 0).last { $0.clockFirst &+ 65536 <= clock }
        return .state(after: before?.icountFirst ?? 0, upTo: divergence.original.icount ?? icount)
    }

    /// The stretch of branches in which a difference is; nil if the log counts no instructions.
    private static func cell(of difference: FirstDifference, _ vcpu: UInt16, _ log: LogFile) -> ZoomSession.Cell? {
        let chunks = log.chunks(.branch, vcpu: vcpu)
        guard let chunk = chunks.last(where: { $0.clockFirst <= difference.clock }), chunk.icountLast > 0 else {
            return nil
        }
        return ZoomSession.Cell(
            clock: chunk.clockFirst, branches: UInt64(chunk.count), icountFirst: chunk.icountFirst,
            icountLast: chunk.icountLast)
    }

    private static func landmarks(_ branches: [Branch]) -> [ZoomSession.Landmark] {
        branches.map { ZoomSession.Landmark(from: $0.from, to: $0.to, icount: $0.icount) }
    }
}

/// Shows the steps of a zoom.
private final class ZoomProgress: @unchecked Sendable {
    private var progress: Progress?
    private var step = ""

    func update(_ step: String, _ share: Double) {
        if step != self.step {
            progress?.finish()
            progress = Progress("zoom: \(step)", unit: "%", total: 100)
            self.step = step
        }
        progress?.update(fraction: share)
        if share >= 1 { progress?.finish() }
    }
}
