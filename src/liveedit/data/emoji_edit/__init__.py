"""Pictures drawn from two artists' emoji: concepts, drawings, and scenes that place them.

Used by the pocket VLM's alignment and by the emoji-edit benchmark. Needs the extra
``liveedit-vlm[drawings]``.
"""
