print("make-pair")
