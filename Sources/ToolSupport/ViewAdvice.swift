// SPDX-License-Identifier: GPL-2.0-or-later

import LogFormat
import LogViews

extension ViewError {
    /// Advice for the user of a command line; `nil` if nothing helps.
    var advice: String? {
        switch self {
        case .noBranches: "tt-analyze events prints the rest"
        case .differentMachines: "give the inputs one at a time"
        case .tooMany: "choose a part with --range"
        case .noVCPU, .noLabels, .allElided, .neverRan: nil
        }
    }
}

extension LogError {
    /// Advice for the user of a command line; `nil` if the description contains it.
    var advice: String? {
        if case .exists = kind { "give --force to replace it" } else { nil }
    }
}
