// SPDX-License-Identifier: GPL-2.0-or-later

import Formatting

/// The sentence about whether two runs take the same path again after a divergence.
struct Convergence {
    private let divergence: DivergenceDocument.DivergenceItem

    init(_ divergence: DivergenceDocument.DivergenceItem) { self.divergence = divergence }

    /// The sentence, without a final period.
    var text: String {
        guard let convergence = divergence.convergence else {
            let count = divergence.branchesSearched.rawValue
            return count < 32
                ? "too few branches follow to show whether the runs meet again"
                : "within \(Words.branches(count)) the runs do not meet again"
        }
        let (a, b) = (convergence.originalBranches.rawValue, convergence.replayBranches.rawValue)
        let region = divergence.path?.regions.first
        var text: String
        if a == 0, b == 0 {
            text = "the branches that follow are the same in both runs"
        } else if region?.isCounterSkew == true {
            text = "the branch counters differ, the instruction counts do not; the path is the same"
        } else if a == b {
            text = "\(Words.branches(a)) differ, then the runs agree again"
        } else {
            text =
                "after \(Words.branches(a)) of the original and \(RowText.grouped(b)) of the replay "
                + "the runs agree again"
        }
        text += " for \(convergence.isOpenEnded ? "at least " : "")"
        text += Words.branches(convergence.agreedBranches.rawValue)
        if a != 0 || b != 0, let region, region.clockShift.rawValue != 0 {
            text += ", with the replay's brctr \(region.clockShift.rawValue > 0 ? "+" : "")\(region.clockShift)"
        }
        return text
    }
}
