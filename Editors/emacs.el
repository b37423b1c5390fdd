;; SPDX-License-Identifier: GPL-2.0-or-later
;; Emacs 29 with dape: M-x dape RET tt. Change the paths of the run and of the sources.
(with-eval-after-load 'dape
  (add-to-list 'dape-configs
               '(tt modes (c-mode c-ts-mode)
                    command "tt-dap"
                    :type "tt" :request "launch"
                    :run "/tmp/run1" :place "0"
                    :sourceMap (:/build/linux "/home/me/linux"))))
