"""Embedding shift.

``form`` how a cloud of vectors lies; ``profile`` and ``neighbours`` one side beside the other; ``texts`` vectors beside their
texts; ``mixed`` a second model among them; ``again`` what the model says of the accused; ``projection`` two dimensions to look at;
``found`` what is collected; ``gate`` the gate.
"""
